# SPDX-License-Identifier: Apache-2.0
#
# A real distribution, made with mmdebstrap and kept as a tar in the build directory.

set(CHARLIE_DEBIAN_TAR ${charlie_fixtures}/debian.tar CACHE FILEPATH
  "A Debian root as a tar; made when missing")
set(here ${CMAKE_CURRENT_SOURCE_DIR}/real_image)

add_test(NAME real_image.make COMMAND ${here}/make-debian ${CHARLIE_DEBIAN_TAR})
set_tests_properties(real_image.make PROPERTIES
  FIXTURES_SETUP debian TIMEOUT 900 SKIP_RETURN_CODE 77)
charlie_add_test_as_user(real_image.unpacks_and_runs ${here}/runs
  $<TARGET_FILE:ch-tar2dir> $<TARGET_FILE:ch-run> ${CHARLIE_DEBIAN_TAR} FIXTURES debian)
charlie_add_test_as_user(real_image.installs_packages ${here}/installs_packages
  $<TARGET_FILE:ch-tar2dir> $<TARGET_FILE:ch-run> ${CHARLIE_DEBIAN_TAR} FIXTURES debian)
add_test(NAME real_image.runs_from_fuse COMMAND ${here}/runs_from_fuse ${charlie_as_user}
  $<TARGET_FILE:ch-tar2dir> $<TARGET_FILE:ch-run> ${CHARLIE_DEBIAN_TAR})
set_tests_properties(real_image.runs_from_fuse PROPERTIES
  FIXTURES_REQUIRED debian TIMEOUT 300 SKIP_RETURN_CODE 77 RUN_SERIAL TRUE)
