# SPDX-License-Identifier: Apache-2.0
#
#   charlie_find_compose_dependencies(<missing>)
#
# Finds the dependencies of ch/compose.hpp and ch/run.hpp, as CharlieImageDependencies.cmake
# does for charlie::image.

macro(charlie_find_compose_dependencies missing)
  find_package(Boost QUIET)
  set(${missing} "")
  set(charlie_compose_libraries Boost::headers)
  if(NOT TARGET Boost::headers)
    set(${missing} "Boost (Boost.Hana)")
  endif()
endmacro()
