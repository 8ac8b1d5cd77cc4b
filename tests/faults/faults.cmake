# SPDX-License-Identifier: Apache-2.0
#
# Fault injection (faults/main.cpp): a part of the faults of these scenarios is a test; the
# others, and the whole, by hand with tests/faults/run. Not with sanitizers, which use ptrace themselves.

add_executable(faults_probe faults/probe.cpp)
target_compile_options(faults_probe PRIVATE -fno-sanitize=all)
target_link_options(faults_probe PRIVATE -static -fno-sanitize=all)
add_executable(charlie_faults faults/main.cpp)
target_include_directories(charlie_faults PRIVATE ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_definitions(charlie_faults PRIVATE CHARLIE_WITHOUT_CATCH
  CHARLIE_CH_FROMHOST="$<TARGET_FILE:ch-fromhost>" CHARLIE_INJECT_FIXTURES="${inject_fixtures}")
target_link_libraries(charlie_faults PRIVATE charlie_core charlie_image_headers charlie_inject_headers charlie_test_flags)
add_dependencies(charlie_faults faults_probe ch-run ch-device ch-tar2dir ch-fromhost
  charlie_inject_objects)
charlie_add_test_as_user(faults.part ${CMAKE_CURRENT_SOURCE_DIR}/faults/run --build=${PROJECT_BINARY_DIR}
  "detached, plain" "classic, plain" "fresh, gzip" "tar2dir: list" "tar2dir: check" "OCI archive")
