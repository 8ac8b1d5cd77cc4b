# SPDX-License-Identifier: Apache-2.0
#
# Installs headers, tools and the CMake package. Each part has its own export file, so that
# find_package(Charlie COMPONENTS core) does not need the others.

if(NOT CHARLIE_INSTALL)
  return()
endif()
include(CMakePackageConfigHelpers)
set(charlie_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Charlie)

install(DIRECTORY include/ch DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
set(charlie_components core)
if(TARGET charlie_compose)
  list(APPEND charlie_components compose)
endif()
foreach(part IN ITEMS image inject)
  if(TARGET charlie_${part}_headers)
    list(APPEND charlie_components ${part})
  endif()
endforeach()
foreach(component IN LISTS charlie_components ITEMS charlie)
  foreach(target IN ITEMS charlie_${component} charlie_${component}_headers
      charlie_${component}_shared)
    if(TARGET ${target})
      install(TARGETS ${target} EXPORT Charlie-${component})
    endif()
  endforeach()
  install(EXPORT Charlie-${component} NAMESPACE charlie:: DESTINATION ${charlie_package_dir})
endforeach()

configure_package_config_file(cmake/CharlieConfig.cmake.in CharlieConfig.cmake
  INSTALL_DESTINATION ${charlie_package_dir})
set(charlie_any_machine ARCH_INDEPENDENT)
if(CHARLIE_BUILD_LIBRARIES)
  set(charlie_any_machine "")
endif()
write_basic_package_version_file(CharlieConfigVersion.cmake
  COMPATIBILITY SameMinorVersion ${charlie_any_machine})
install(FILES
  ${PROJECT_BINARY_DIR}/CharlieConfig.cmake
  ${PROJECT_BINARY_DIR}/CharlieConfigVersion.cmake
  cmake/CharlieComposeDependencies.cmake
  cmake/CharlieImageDependencies.cmake
  cmake/CharlieInjectDependencies.cmake
  cmake/FindLibElf.cmake
  cmake/FindNettle.cmake
  cmake/FindISAL.cmake
  cmake/FindZstd.cmake
  DESTINATION ${charlie_package_dir})

# For projects without CMake: pkg-config files, relative to their own directory; and the launch
# path as one header, to be copied into a project.
set(charlie_pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH charlie_prefix_from_pkgconfig
  /prefix/${charlie_pkgconfig_dir} /prefix)
set(charlie_pkgconfig_files ${charlie_components})
foreach(part IN ITEMS image inject)
  if(NOT TARGET charlie_${part}_headers)
    continue()
  endif()
  list(APPEND charlie_pkgconfig_files ${part}-header-only)
  if(NOT TARGET charlie_${part})
    list(REMOVE_ITEM charlie_pkgconfig_files ${part})
  endif()
endforeach()
foreach(component IN LISTS charlie_pkgconfig_files)
  configure_file(cmake/charlie-${component}.pc.in charlie-${component}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/charlie-${component}.pc DESTINATION ${charlie_pkgconfig_dir})
endforeach()
install(CODE "
  execute_process(COMMAND ${PROJECT_SOURCE_DIR}/cmake/amalgamate ${PROJECT_SOURCE_DIR}/include
      ch/launch.hpp ch/presets.hpp
    OUTPUT_FILE ${PROJECT_BINARY_DIR}/charlie_launch.hpp COMMAND_ERROR_IS_FATAL ANY)")
install(FILES ${PROJECT_BINARY_DIR}/charlie_launch.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md"
  PATTERN man EXCLUDE)
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DOCDIR} USE_SOURCE_PERMISSIONS
  PATTERN "*.txt" EXCLUDE)
if(CHARLIE_BUILD_APPS)
  install(TARGETS ${charlie_tools} RUNTIME)
endif()
