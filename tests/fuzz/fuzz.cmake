# SPDX-License-Identifier: Apache-2.0
#
# The fuzz targets, by clang whatever compiler the rest has, since libFuzzer is clang's;
# ten seconds of each are a test (CHARLIE_FUZZ_SECONDS=3600 ctest -R fuzz: an hour of each).

find_program(CHARLIE_FUZZ_CLANG NAMES clang++)
set(flags -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined)
if(CHARLIE_FUZZ_CLANG AND NOT DEFINED CHARLIE_FUZZ_WORKS)
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/fuzz_probe.cpp
    "#include <string>\nextern \"C\" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }\n")
  execute_process(
    COMMAND ${CHARLIE_FUZZ_CLANG} ${flags} ${CMAKE_CURRENT_BINARY_DIR}/fuzz_probe.cpp
      -o ${CMAKE_CURRENT_BINARY_DIR}/fuzz_probe
    RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
  if(failed)
    set(works OFF)
  else()
    set(works ON)
  endif()
  set(CHARLIE_FUZZ_WORKS ${works} CACHE INTERNAL "Does clang have libFuzzer?")
endif()
if(NOT CHARLIE_FUZZ_CLANG OR NOT CHARLIE_FUZZ_WORKS)
  message(STATUS "Charlie: no clang with libFuzzer, so no fuzz tests")
  return()
endif()

set(program ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/charlie_fuzz)
add_custom_command(OUTPUT ${program}
  COMMAND ${CHARLIE_FUZZ_CLANG} ${flags} -I${PROJECT_SOURCE_DIR}/include
    ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz.cpp -o ${program} -MD -MF ${CMAKE_CURRENT_BINARY_DIR}/fuzz.d
    -larchive -lnettle -lisal -lzstd -llzma -pthread
  DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz.cpp
  DEPFILE ${CMAKE_CURRENT_BINARY_DIR}/fuzz.d
  COMMENT "Building the fuzz targets"
  VERBATIM)
add_custom_target(charlie_fuzz ALL DEPENDS ${program})
foreach(target IN ITEMS archive layer docker oci name resolver)
  add_test(NAME fuzz.${target} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/run ${program} ${target})
endforeach()
