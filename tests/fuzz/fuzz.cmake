# SPDX-License-Identifier: Apache-2.0
#
# The fuzz targets, built with clang whatever the compiler of the rest, since libFuzzer needs it;
# ten seconds of each are a test (CHARLIE_FUZZ_SECONDS=3600 ctest -R fuzz: an hour of each).
# Seeds, and all inputs that are kept in the tree, are replayed in a program built with the
# compiler of the rest.

set(fuzz_units apps/ch-run/main tests/fuzz/commands tests/fuzz/image tests/fuzz/inject
  tests/fuzz/run_target)

# ---- replay -------------------------------------------------------------------------------
list(TRANSFORM fuzz_units PREPEND ${PROJECT_SOURCE_DIR}/ OUTPUT_VARIABLE sources)
list(TRANSFORM sources APPEND .cpp)
add_executable(charlie_fuzz_replay ${sources} fuzz/replay.cpp)
target_include_directories(charlie_fuzz_replay PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(charlie_fuzz_replay PRIVATE charlie_image_headers charlie_inject_headers charlie_test_flags)
add_test(NAME fuzz.replay
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/run $<TARGET_FILE:charlie_fuzz_replay> replay)
set_tests_properties(fuzz.replay PROPERTIES TIMEOUT 300)

# ---- libFuzzer ------------------------------------------------------------------------------
find_program(CHARLIE_FUZZ_CLANG NAMES clang++)
set(flags -std=c++20 -gline-tables-only -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined)
if(CHARLIE_FUZZ_CLANG AND NOT CHARLIE_FUZZ_WORKS)
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
  # Listed among the skipped tests; a failure if nothing may be skipped.
  add_test(NAME fuzz.libfuzzer COMMAND sh -c
    "echo 'no clang with libFuzzer: install libclang-rt-dev'; exit \${CHARLIE_MUST_WORK:-77}")
  set_tests_properties(fuzz.libfuzzer PROPERTIES SKIP_RETURN_CODE 77)
  return()
endif()

set(program ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/charlie_fuzz)
file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/fuzz)
set(objects "")
foreach(unit IN LISTS fuzz_units ITEMS tests/fuzz/fuzz)
  string(REPLACE / _ name ${unit})
  set(object ${CMAKE_CURRENT_BINARY_DIR}/fuzz/${name}.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_CXX_COMPILER_LAUNCHER} ${CHARLIE_FUZZ_CLANG} ${flags}
      -I${PROJECT_SOURCE_DIR}/include -I${PROJECT_SOURCE_DIR}
      -c ${PROJECT_SOURCE_DIR}/${unit}.cpp -o ${object} -MD -MF ${object}.d
    DEPENDS ${PROJECT_SOURCE_DIR}/${unit}.cpp
    DEPFILE ${object}.d
    COMMENT "Building the fuzz targets: ${unit}.cpp"
    VERBATIM)
  list(APPEND objects ${object})
endforeach()
add_custom_command(OUTPUT ${program}
  COMMAND ${CHARLIE_FUZZ_CLANG} ${flags} ${objects} -o ${program}
    -larchive -lnettle -lisal -lzstd -llzma -lelf -lyaml-cpp -pthread
  DEPENDS ${objects}
  COMMENT "Linking the fuzz targets"
  VERBATIM)
add_custom_target(charlie_fuzz ALL DEPENDS ${program})
foreach(target IN ITEMS archive layer docker oci name resolver elf cdi journal manifest run line
    environment)
  add_test(NAME fuzz.${target} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/run ${program} ${target})
endforeach()
