# SPDX-License-Identifier: Apache-2.0
#
# Tests of --join: the protocol on test doubles, and groups of real processes. The probe goes
# into images, so it is static.

add_executable(join_probe join/probe/main.cpp)
target_compile_options(join_probe PRIVATE -fno-sanitize=all)
target_link_options(join_probe PRIVATE -static -fno-sanitize=all)
charlie_add_tests(join PRECOMPILE <ch/presets.hpp>)
target_compile_definitions(test_join PRIVATE CHARLIE_JOIN_PROBE="$<TARGET_FILE:join_probe>")
add_dependencies(test_join join_probe)

# Real MPI, on the host and in an image that is made once: Open MPI, and MPICH, which
# Debian lets one install beside it.
set(here ${CMAKE_CURRENT_SOURCE_DIR}/join)
set(CHARLIE_MPI_TAR ${charlie_fixtures}/mpi.tar CACHE FILEPATH
  "A Debian root with Open MPI and MPICH as a tar; made when missing")
if(TARGET mpihello)
  find_program(CHARLIE_MPICXX_MPICH mpicxx.mpich)
  set(hello_mpich "")
  if(CHARLIE_MPICXX_MPICH)
    set(hello_mpich ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/mpihello_mpich)
    set(hello_source ${PROJECT_SOURCE_DIR}/examples/mpihello/hello.cpp)
    add_custom_command(OUTPUT ${hello_mpich} DEPENDS ${hello_source} VERBATIM
      COMMAND ${CHARLIE_MPICXX_MPICH} -std=c++20 ${hello_source} -o ${hello_mpich})
    add_custom_target(mpihello_mpich ALL DEPENDS ${hello_mpich})
  endif()
  set(mpi_arguments $<TARGET_FILE:ch-tar2dir> $<TARGET_FILE:ch-run> ${CHARLIE_MPI_TAR}
    $<TARGET_FILE:mpihello>)
  add_test(NAME join.make_mpi_image COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/real_image/make-debian
    ${CHARLIE_MPI_TAR} openmpi-bin mpich)
  set_tests_properties(join.make_mpi_image PROPERTIES
    FIXTURES_SETUP mpi TIMEOUT 900 SKIP_RETURN_CODE 77)
  charlie_add_test_as_user(join.mpi ${here}/mpi/runs ${mpi_arguments} ${hello_mpich} FIXTURES mpi)
  add_test(NAME join.slurm COMMAND ${here}/slurm/with_slurm ${charlie_as_user}
    ${here}/slurm/runs ${mpi_arguments} ${PROJECT_SOURCE_DIR}/examples)
  set_tests_properties(join.slurm PROPERTIES
    FIXTURES_REQUIRED mpi TIMEOUT 300 SKIP_RETURN_CODE 77 RUN_SERIAL TRUE)
else()
  add_test(NAME join.mpi COMMAND sh -c "echo 'no MPI library here (libopenmpi-dev)'; exit 77")
  set_tests_properties(join.mpi PROPERTIES SKIP_RETURN_CODE 77)
endif()
