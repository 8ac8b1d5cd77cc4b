# SPDX-License-Identifier: Apache-2.0
#
# Each tool with another user as adversary: a few rounds are a test, for root, who can act as two
# users. By hand, 100 000 swaps and more:
#
#   tests/adversary/runs $PWD $PWD/build/dev $PWD/build/dev/bin build/dev/fixtures/hello{,.tar} 1000

add_executable(adversary adversary/other.cpp)
target_compile_features(adversary PRIVATE cxx_std_20)
target_compile_options(adversary PRIVATE -fno-sanitize=all)
target_link_options(adversary PRIVATE -static -fno-sanitize=all)
set(command ${CMAKE_CURRENT_SOURCE_DIR}/adversary/runs ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}
  ${CMAKE_RUNTIME_OUTPUT_DIRECTORY} ${charlie_fixtures}/hello ${charlie_fixtures}/hello.tar 12)
list(JOIN command "]==] [==[" command)
string(CONCAT as_root
  "  add_test([==[adversary.as_root]==] [==[${command}]==])\n"
  "  set_tests_properties([==[adversary.as_root]==] PROPERTIES TIMEOUT 600 RUN_SERIAL TRUE)\n")
set_property(GLOBAL APPEND_STRING PROPERTY charlie_tests_as_root "${as_root}")
