# SPDX-License-Identifier: Apache-2.0
#
#   charlie_find_inject_dependencies(<missing>)
#
# Finds the libraries that charlie::inject needs, as CharlieImageDependencies.cmake does for
# charlie::image.

macro(charlie_find_inject_dependencies missing)
  find_package(LibElf QUIET)
  find_package(range-v3 CONFIG QUIET)
  find_package(nlohmann_json CONFIG QUIET)
  find_package(yaml-cpp CONFIG QUIET)
  find_package(Threads QUIET)
  find_package(Boost QUIET)  # Boost.Hana, for the hosted API
  # The target is in a namespace since yaml-cpp 0.8.
  if(TARGET yaml-cpp AND NOT TARGET yaml-cpp::yaml-cpp)
    add_library(yaml-cpp::yaml-cpp INTERFACE IMPORTED)
    set_target_properties(yaml-cpp::yaml-cpp PROPERTIES INTERFACE_LINK_LIBRARIES yaml-cpp)
  endif()
  set(${missing} "")
  set(charlie_inject_libraries LibElf::LibElf range-v3::range-v3 nlohmann_json::nlohmann_json
    yaml-cpp::yaml-cpp Threads::Threads Boost::headers)
  foreach(charlie_library IN LISTS charlie_inject_libraries)
    if(NOT TARGET ${charlie_library})
      string(REGEX REPLACE "::.*" "" charlie_library "${charlie_library}")
      list(APPEND ${missing} ${charlie_library})
    endif()
  endforeach()
  list(JOIN ${missing} ", " ${missing})
endmacro()
