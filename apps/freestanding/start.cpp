// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. Where a program without libc begins: the kernel jumps to _start with argc,
// argv and envp on the stack; ch_main gets them and its answer is the exit status. The
// compiler may call memcpy and its kin for any assignment, so they are here as well.
// Why without libc: its start-up costs more than the whole rest of a launch.
// Source: System V ABI, "Process Initialization"; GCC manual, -ffreestanding.

#include <cstddef>

#include "ch/kernel/process.hpp"

int ch_main(int argc, char** argv, char** envp);

extern "C" {

[[noreturn, gnu::used]] void charlie_start(long* stack) {
  const int argc = static_cast<int>(stack[0]);
  char** argv = reinterpret_cast<char**>(stack + 1);
  ch::kernel::Linux linux_kernel;
  ch::kernel::exit_group(linux_kernel, ch_main(argc, argv, argv + argc + 1));
}

#if defined(__x86_64__)
__asm__(
    ".globl _start\n"
    "_start:\n"
    "  xorl %ebp, %ebp\n"
    "  movq %rsp, %rdi\n"
    "  andq $-16, %rsp\n"
    "  call charlie_start\n");
#else
__asm__(
    ".globl _start\n"
    "_start:\n"
    "  mov x29, xzr\n"
    "  mov x30, xzr\n"
    "  mov x0, sp\n"
    "  and sp, x0, #-16\n"
    "  bl charlie_start\n");
#endif

void* memcpy(void* to, const void* from, std::size_t n) {
  auto* out = static_cast<char*>(to);
  const auto* in = static_cast<const char*>(from);
  for (; n > 0; --n) *out++ = *in++;
  return to;
}
void* memmove(void* to, const void* from, std::size_t n) {
  auto* out = static_cast<char*>(to);
  const auto* in = static_cast<const char*>(from);
  if (out <= in) return memcpy(to, from, n);
  while (n-- > 0) out[n] = in[n];
  return to;
}
void* memset(void* to, int value, std::size_t n) {
  auto* out = static_cast<char*>(to);
  for (; n > 0; --n) *out++ = static_cast<char>(value);
  return to;
}
int memcmp(const void* a, const void* b, std::size_t n) {
  const auto* x = static_cast<const unsigned char*>(a);
  const auto* y = static_cast<const unsigned char*>(b);
  for (; n > 0; --n, ++x, ++y)
    if (*x != *y) return *x < *y ? -1 : 1;
  return 0;
}
void* memchr(const void* where, int value, std::size_t n) {
  const auto* p = static_cast<const unsigned char*>(where);
  for (; n > 0; --n, ++p)
    if (*p == static_cast<unsigned char>(value)) return const_cast<unsigned char*>(p);
  return nullptr;
}
std::size_t strlen(const char* text) {
  std::size_t n = 0;
  while (text[n] != '\0') ++n;
  return n;
}

}  // extern "C"
