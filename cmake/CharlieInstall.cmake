# SPDX-License-Identifier: Apache-2.0
#
# Installs headers, tools and the CMake package. Each part has an export file of its own,
# so that find_package(Charlie COMPONENTS core) needs nothing of the others.

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
if(TARGET charlie_image)
  list(APPEND charlie_components image)
endif()
if(TARGET charlie_inject)
  list(APPEND charlie_components inject)
endif()
foreach(component IN LISTS charlie_components ITEMS charlie)
  install(TARGETS charlie_${component} EXPORT Charlie-${component})
  install(EXPORT Charlie-${component} NAMESPACE charlie:: DESTINATION ${charlie_package_dir})
endforeach()

configure_package_config_file(cmake/CharlieConfig.cmake.in CharlieConfig.cmake
  INSTALL_DESTINATION ${charlie_package_dir})
write_basic_package_version_file(CharlieConfigVersion.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
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

# For projects without CMake: pkg-config, by the directory that the file itself lies in; and
# the launch path as one header, to be copied into a project.
set(charlie_pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH charlie_prefix_from_pkgconfig
  /prefix/${charlie_pkgconfig_dir} /prefix)
foreach(component IN LISTS charlie_components)
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
