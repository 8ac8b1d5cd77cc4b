# SPDX-License-Identifier: Apache-2.0
#
# Devices with CDI: a dummy driver, two libraries and a program that needs them, and
# a script that requests it from ch-run.

add_library(charlie_made_driver SHARED inject/made_driver/driver.cpp)
set_target_properties(charlie_made_driver PROPERTIES
  OUTPUT_NAME made SOVERSION 1 VERSION 550.54.14)
add_library(charlie_made_other SHARED inject/made_driver/driver.cpp)
set_target_properties(charlie_made_other PROPERTIES
  OUTPUT_NAME other SOVERSION 1 VERSION 550.54.14)
# Two versions of the CUDA driver's library: the host's, and a newer one that an image brings.
foreach(version IN ITEMS 550 560)
  add_library(charlie_made_cuda_${version} SHARED inject/made_driver/driver.cpp)
  set_target_properties(charlie_made_cuda_${version} PROPERTIES
    OUTPUT_NAME cuda SOVERSION 1 VERSION ${version}.54.14)
  target_compile_definitions(charlie_made_cuda_${version} PRIVATE VERSION=${version})
endforeach()
add_executable(charlie_made_smi inject/made_driver/smi.cpp)
set_target_properties(charlie_made_smi PROPERTIES OUTPUT_NAME made-smi)
target_link_libraries(charlie_made_smi PRIVATE ${CMAKE_DL_LIBS})
set(charlie_made charlie_made_driver charlie_made_other charlie_made_cuda_550
  charlie_made_cuda_560 charlie_made_smi)
foreach(target IN LISTS charlie_made)
  target_link_options(${target} PRIVATE LINKER:--as-needed)  # no C++ library
  set_target_properties(${target} PROPERTIES
    LIBRARY_OUTPUT_DIRECTORY ${charlie_fixtures}/driver
    RUNTIME_OUTPUT_DIRECTORY ${charlie_fixtures}/driver)
endforeach()
set_target_properties(charlie_made_cuda_560 PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY ${charlie_fixtures}/driver/compat)

target_compile_definitions(test_inject PRIVATE
  CHARLIE_CH_DEVICE="$<TARGET_FILE:ch-device>"
  CHARLIE_MADE_DRIVER="${charlie_fixtures}/driver")
add_dependencies(test_inject ${charlie_made})
charlie_add_test_as_user(inject.cdi_in_debian ${CMAKE_CURRENT_SOURCE_DIR}/inject/cdi_in_debian
  $<TARGET_FILE:ch-tar2dir> $<TARGET_FILE:ch-run> ${CHARLIE_DEBIAN_TAR} ${charlie_fixtures}/driver
  FIXTURES debian)

# Needs a GPU; skipped elsewhere, even if no other test may be skipped.
add_test(NAME gpu.nvidia_smi COMMAND ${CMAKE_COMMAND} -E env --unset=CHARLIE_MUST_WORK
  ${CMAKE_CURRENT_SOURCE_DIR}/gpu/run $<TARGET_FILE_DIR:ch-run> ${CHARLIE_DEBIAN_TAR})
set_tests_properties(gpu.nvidia_smi PROPERTIES
  FIXTURES_REQUIRED debian TIMEOUT 300 SKIP_RETURN_CODE 77)
