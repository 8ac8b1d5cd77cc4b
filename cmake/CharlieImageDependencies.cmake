# SPDX-License-Identifier: Apache-2.0
#
#   charlie_find_image_dependencies(<missing>)
#
# Finds the libraries that charlie::image needs. Sets <missing> to the names of those that are
# not found, and charlie_image_libraries to the targets to link. Both our build and the
# installed package use it, so that they agree.

macro(charlie_find_image_dependencies missing)
  find_package(LibArchive QUIET)
  find_package(Nettle QUIET)
  find_package(ISAL QUIET)
  find_package(Zstd QUIET)
  find_package(LibLZMA QUIET)
  find_package(nlohmann_json CONFIG QUIET)
  find_package(Threads QUIET)
  find_package(Boost QUIET)  # Boost.Hana, for the hosted API
  set(${missing} "")
  set(charlie_image_libraries LibArchive::LibArchive Nettle::Nettle ISAL::ISAL
    Zstd::Zstd LibLZMA::LibLZMA
    nlohmann_json::nlohmann_json Threads::Threads Boost::headers)
  foreach(charlie_library IN LISTS charlie_image_libraries)
    if(NOT TARGET ${charlie_library})
      string(REGEX REPLACE "::.*" "" charlie_library "${charlie_library}")
      list(APPEND ${missing} ${charlie_library})
    endif()
  endforeach()
  list(JOIN ${missing} ", " ${missing})
endmacro()
