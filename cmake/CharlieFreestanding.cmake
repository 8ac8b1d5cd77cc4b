# SPDX-License-Identifier: Apache-2.0
#
#   charlie_add_freestanding_tool(<name> <source>...)
#
# A program whose entry point is `int ch_main(int argc, char** argv, char** envp)` and which
# includes nothing but the launch path. With CHARLIE_FREESTANDING it is linked without
# any library, into one small static file that starts in a tenth of the time of a static
# program with libc. Otherwise an ordinary program calls the same ch_main, so that sanitizers
# and debuggers can be used on the same sources.

set(charlie_freestanding_dir ${PROJECT_SOURCE_DIR}/apps/freestanding)

# Compile flags for code that runs without libc, for a target of any kind. They optimise for
# size, which costs no time here: a launch waits for the kernel, not for its own instructions.
function(charlie_freestanding_flags target)
  target_compile_definitions(${target} PRIVATE NDEBUG)
  target_compile_options(${target} PRIVATE
    -Oz -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-stack-protector
    -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-pie -ffunction-sections
    -fdata-sections -U_FORTIFY_SOURCE -fno-jump-tables
    # Large functions run out of registers, which costs more than calls of small ones; and what
    # these optimisations win in time they lose in size.
    "$<$<CXX_COMPILER_ID:GNU>:-fno-inline-functions-called-once;-fno-expensive-optimizations;-fno-move-loop-invariants>"
    # Short loops are smaller than calls to memset.
    $<$<CXX_COMPILER_ID:GNU>:-fno-tree-loop-distribute-patterns>
    $<$<CXX_COMPILER_ID:Clang>:-fno-builtin-bcmp>  # clang would turn memcmp into it
    $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>:-fcf-protection=none>)
endfunction()

# On x86-64, return with a jump instead of `ret`, if the compiler can. A system call destroys
# the processor's return predictions, so that the first returns after it are mispredicted. On
# processors where the kernel has to guard its own returns (AMD with "Safe RET"), each such
# misprediction makes the next system call a third of a microsecond slower, and a launch makes
# some seventy. docs/performance.md has the figures.
set(charlie_return_flags "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64)$")
  include(CheckCXXCompilerFlag)
  set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)  # the thunk is ours, so don't link
  check_cxx_compiler_flag(-mfunction-return=thunk-extern charlie_has_return_thunk)
  unset(CMAKE_TRY_COMPILE_TARGET_TYPE)
  if(charlie_has_return_thunk)
    set(charlie_return_flags -mfunction-return=thunk-extern)
  endif()
endif()

function(charlie_add_freestanding_tool name)
  add_executable(${name} ${ARGN})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE charlie_core)
  if(NOT CHARLIE_FREESTANDING)
    target_link_libraries(${name} PRIVATE charlie_flags)
    target_sources(${name} PRIVATE ${charlie_freestanding_dir}/hosted.cpp)
    return()
  endif()
  target_link_libraries(${name} PRIVATE charlie_warnings)
  charlie_freestanding_flags(${name})
  target_compile_options(${name} PRIVATE ${charlie_return_flags})
  target_link_options(${name} PRIVATE
    -nostdlib -static $<$<CXX_COMPILER_ID:GNU>:-no-pie>
    LINKER:--gc-sections,--build-id=none,-z,noseparate-code,-z,norelro
    $<$<CONFIG:Release>:LINKER:--strip-all>)
  # A separate library, since memcpy's own loop must not become a call to memcpy: -fno-builtin.
  if(NOT TARGET charlie_start)
    add_library(charlie_start OBJECT ${charlie_freestanding_dir}/start.cpp)
    target_link_libraries(charlie_start PRIVATE charlie_core charlie_warnings)
    charlie_freestanding_flags(charlie_start)
    target_compile_options(charlie_start PRIVATE ${charlie_return_flags} -fno-builtin)
  endif()
  target_sources(${name} PRIVATE $<TARGET_OBJECTS:charlie_start>)
endfunction()
