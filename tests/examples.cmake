# SPDX-License-Identifier: Apache-2.0
#
# Runs the examples and compares their output with the expected output; and checks that README
# and docs show the examples' code.

set(here ${CMAKE_CURRENT_SOURCE_DIR}/examples)
set(example_dir ${PROJECT_SOURCE_DIR}/examples)
set(hello ${charlie_fixtures}/hello)

charlie_add_test_as_user(examples.hello_library
  ${here}/golden ${example_dir}/hello_library/expected.txt ${charlie_fixtures}
  $<TARGET_FILE:hello_library> hello)
foreach(example IN ITEMS "run hello echo hi" "capture hello" "compose hello hello" "many hello"
    "call hello" "join hello")
  separate_arguments(words UNIX_COMMAND "${example}")
  list(POP_FRONT words name)
  charlie_add_test_as_user(examples.hosted_${name} ${here}/golden
    ${example_dir}/hosted/${name}.txt ${charlie_fixtures} $<TARGET_FILE:hosted_${name}> ${words})
endforeach()
charlie_add_test_as_user(examples.hosted_ids ${here}/with_ids
  ${here}/golden ${example_dir}/hosted/ids.txt ${charlie_fixtures} $<TARGET_FILE:hosted_ids> hello)
charlie_add_test_as_user(examples.hosted_unpack ${here}/golden ${example_dir}/hosted/unpack.txt
  ${charlie_fixtures} ${here}/in_new_directory $<TARGET_FILE:hosted_unpack> hello.tar DIR echo hi)
charlie_add_test_as_user(examples.inject ${here}/injects ${example_dir}/inject/expected.txt
  $<TARGET_FILE:inject> ${hello} $<TARGET_FILE:namespaces>)
charlie_add_test_as_user(examples.contributor_runs
  ${here}/contributor_runs $<TARGET_FILE:contributor> ${hello})
charlie_add_test_as_user(examples.namespaces_differ_inside
  ${here}/namespaces_differ $<TARGET_FILE:ch-run> ${hello} $<TARGET_FILE:namespaces>)
charlie_add_test_as_user(examples.hello_archive_unpacks_to_the_image
  ${here}/archive_unpacks $<TARGET_FILE:ch-tar2dir> ${charlie_fixtures}/hello.tar ${hello})
add_test(NAME examples.contributor_plan COMMAND ${here}/golden
  ${example_dir}/contributor/expected.txt ${charlie_fixtures} $<TARGET_FILE:contributor>)
add_test(NAME examples.policies_plans COMMAND ${here}/golden
  ${example_dir}/policies/expected.txt ${charlie_fixtures} $<TARGET_FILE:policies>)
add_test(NAME examples.snippets_are_cut_from_sources COMMAND ${here}/snippets ${PROJECT_SOURCE_DIR})
