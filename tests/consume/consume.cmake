# SPDX-License-Identifier: Apache-2.0
#
# Uses the library from another project, in each way that the README names.

foreach(how IN ITEMS package-core package-compose package-image package-inject package-static
    package-shared package-all
    package-refused subdirectory pkg-config one-header compiler)
  add_test(NAME consume.${how} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/consume/consume
    ${how} ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${CMAKE_CXX_COMPILER})
  set_tests_properties(consume.${how} PROPERTIES TIMEOUT 300
    ENVIRONMENT "CMAKE_GENERATOR=${CMAKE_GENERATOR}")
endforeach()

# Under the rules of strict projects, by both compilers.
find_program(CHARLIE_CLANGXX clang++)
foreach(rules IN ITEMS "c++20 ${CMAKE_CXX_COMPILER}" "c++2b ${CHARLIE_CLANGXX}")
  separate_arguments(rules)
  list(POP_FRONT rules standard)
  add_test(NAME consume.strict-${standard} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/consume/consume
    strict-${standard} ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${rules})
  set_tests_properties(consume.strict-${standard} PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
endforeach()
