# SPDX-License-Identifier: Apache-2.0
#
# The options of this build, and the target that carries our own compile flags.
# A project that uses the library gets none of these flags, and by default builds none of our
# tools, tests and examples.

option(CHARLIE_BUILD_APPS "Build the tools (ch-run, ch-tar2dir, ...)" ${PROJECT_IS_TOP_LEVEL})
option(CHARLIE_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(CHARLIE_BUILD_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(CHARLIE_BUILD_BENCHMARKS "Build the benchmarks" OFF)
option(CHARLIE_LAUNCH_ONLY "Just the launch path and its tools, without manual pages: needs no
library and can be compiled for another machine" OFF)
option(CHARLIE_INSTALL "Have an install target" ${PROJECT_IS_TOP_LEVEL})
option(CHARLIE_BUILD_LIBRARIES "Compile charlie::image and charlie::inject, static and shared"
  ${PROJECT_IS_TOP_LEVEL})
option(CHARLIE_WERROR "Treat warnings as errors" OFF)
if(CHARLIE_LAUNCH_ONLY)
  set(CHARLIE_BUILD_TESTS OFF)
endif()
set(CHARLIE_SANITIZE "" CACHE STRING "Sanitizers for everything built here, e.g. address,undefined")

# The entry point of a program without libc is in assembly, for these architectures only;
# sanitizers' run-time libraries need libc.
set(charlie_can_be_freestanding OFF)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|aarch64|arm64)$")
  set(charlie_can_be_freestanding ON)
endif()
set(charlie_freestanding_default ${charlie_can_be_freestanding})
if(NOT CHARLIE_SANITIZE STREQUAL "")
  set(charlie_freestanding_default OFF)
endif()
option(CHARLIE_FREESTANDING "Link the launch tools without libc" ${charlie_freestanding_default})
if(CHARLIE_FREESTANDING AND NOT CHARLIE_SANITIZE STREQUAL "")
  message(FATAL_ERROR "Sanitizers need libc: set CHARLIE_FREESTANDING=OFF.")
endif()

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()
if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_CXX_EXTENSIONS OFF)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endif()

# Our own programs link charlie_flags privately; those without libc only the warnings.
add_library(charlie_warnings INTERFACE)
target_compile_options(charlie_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align -Wformat=2 -Wimplicit-fallthrough
  -Wundef
  $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond -Wlogical-op>
  $<$<BOOL:${CHARLIE_WERROR}>:-Werror>)
add_library(charlie_flags INTERFACE)
target_link_libraries(charlie_flags INTERFACE charlie_warnings)
if(NOT CHARLIE_SANITIZE STREQUAL "")
  target_compile_options(charlie_flags INTERFACE
    -fsanitize=${CHARLIE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(charlie_flags INTERFACE -fsanitize=${CHARLIE_SANITIZE})
endif()
