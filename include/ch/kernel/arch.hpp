// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. The one instruction that enters the kernel, for x86-64 and aarch64,
// and clone onto a fresh stack, which no C++ function can express. Nothing here
// touches errno, the heap or thread-local storage, so it may run between clone
// and exec. Source: man 2 syscall, tables of registers; man 2 clone.
#pragma once

#include "ch/kernel/language.hpp"

#if !defined(__linux__) || !(defined(__x86_64__) || defined(__aarch64__))
#error "Charlie enters the Linux kernel directly: x86-64 and aarch64 are supported."
#endif

namespace ch::kernel::arch {

#if defined(__x86_64__)

/// Six-argument system call. Returns what the kernel returns: -4095..-1 is an error.
[[gnu::always_inline]] inline long syscall6(long number, long a, long b, long c, long d, long e,
                                            long f) noexcept {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

/// clone3 (or clone, by `number`). The child calls `entry(argument)` on the stack given in the
/// arguments and exits with its return value. Only the parent returns from here.
///
/// The child must not return through this frame, which the parent also uses: its
/// first instructions therefore stay in assembly, and `entry` never returns to C++.
[[gnu::noinline]] inline long clone_call(long number, long a, long b, long (*entry)(void*),
                                         void* argument) noexcept {
  long result;
  register long r8 __asm__("r8") = reinterpret_cast<long>(entry);
  register long r9 __asm__("r9") = reinterpret_cast<long>(argument);
  __asm__ volatile(
      "xorl %%edx, %%edx\n\t"
      "xorl %%r10d, %%r10d\n\t"
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xorl %%ebp, %%ebp\n\t"     // outermost frame, for debuggers
      "andq $-16, %%rsp\n\t"
      "movq %%r9, %%rdi\n\t"
      "callq *%%r8\n\t"
      "movl %%eax, %%edi\n\t"
      "movl $231, %%eax\n\t"      // exit_group
      "syscall\n\t"
      "hlt\n"
      "1:"
      : "=a"(result)
      : "a"(number), "D"(a), "S"(b), "r"(r8), "r"(r9)
      : "rcx", "rdx", "r10", "r11", "memory");
  return result;
}

#else

[[gnu::always_inline]] inline long syscall6(long number, long a, long b, long c, long d, long e,
                                            long f) noexcept {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc #0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory", "cc");
  return x0;
}

[[gnu::noinline]] inline long clone_call(long number, long a, long b, long (*entry)(void*),
                                         void* argument) noexcept {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = 0;
  register long x3 __asm__("x3") = 0;
  register long x4 __asm__("x4") = 0;
  register long x9 __asm__("x9") = reinterpret_cast<long>(entry);
  register long x10 __asm__("x10") = reinterpret_cast<long>(argument);
  __asm__ volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"          // outermost frame, for debuggers
      "mov x30, xzr\n\t"
      "mov x0, x10\n\t"
      "blr x9\n\t"
      "mov x8, #94\n\t"           // exit_group
      "svc #0\n\t"
      "brk #0\n"
      "1:"
      : "+r"(x0)
      : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x9), "r"(x10)
      : "memory", "cc");
  return x0;
}

#endif

}  // namespace ch::kernel::arch
