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
  cmake/CharlieImageDependencies.cmake
  cmake/CharlieInjectDependencies.cmake
  cmake/FindLibElf.cmake
  cmake/FindNettle.cmake
  cmake/FindISAL.cmake
  cmake/FindZstd.cmake
  DESTINATION ${charlie_package_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(CHARLIE_BUILD_APPS)
  install(TARGETS ${charlie_tools} RUNTIME)
endif()
