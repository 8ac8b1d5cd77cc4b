// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The entry point of a program without libc: the kernel jumps to _start with argc, argv
// and envp on the stack; ch_main gets them and returns the exit status. The compiler may call
// memcpy and the like for any assignment, so they are here as well. Why without libc: its start-up
// costs more than all the rest of a launch.
// Source: System V ABI, "Process Initialization"; GCC manual, -ffreestanding.

#include <cstddef>
#include <cstdint>

#include "ch/kernel/process.hpp"

int ch_main(int argc, char** argv, char** envp);

namespace {

constexpr std::uint64_t every_byte = 0x0101010101010101;

/// Non-zero if one of the eight bytes is zero; its lowest set bit is then in the first such byte.
/// Source: Hacker's Delight, "Find First 0-Byte".
constexpr std::uint64_t zeros(std::uint64_t word) noexcept {
  return (word - every_byte) & ~word & (every_byte << 7);
}
/// The index of that byte; both machines are little-endian.
constexpr std::size_t first_of(std::uint64_t found) noexcept {
  return static_cast<std::size_t>(__builtin_ctzll(found)) / 8;
}

}  // namespace

extern "C" {

/// The stack: the kernel's is only as large as `ulimit -s`, perhaps 16 KiB. Untouched pages cost
/// nothing. It has no guard page, which would cost a system call in each launch: the depth does not
/// depend on input here, and the deepest use is a fraction of it.
alignas(16) [[gnu::used]] char charlie_stack[512 * 1024];

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
    "  leaq charlie_stack+524288(%rip), %rsp\n"
    "  call charlie_start\n"
    // What -mfunction-return=thunk-extern makes of every return; CharlieFreestanding.cmake
    // says why. It changes no register and no flag, as a return does not: GCC lets a caller
    // keep values in registers that it knows the callee to leave alone (-fipa-ra).
    ".globl __x86_return_thunk\n"
    "__x86_return_thunk:\n"
    "  leaq 8(%rsp), %rsp\n"
    "  jmp *-8(%rsp)\n");
#else
__asm__(
    ".globl _start\n"
    "_start:\n"
    "  mov x29, xzr\n"
    "  mov x30, xzr\n"
    "  mov x0, sp\n"
    "  adrp x9, charlie_stack+524288\n"
    "  add x9, x9, :lo12:charlie_stack+524288\n"
    "  mov sp, x9\n"
    "  bl charlie_start\n");
#endif

// Eight bytes at a time, since some texts are long, such as the accounts of a host. Bytes are only
// read inside the given range, except in strlen, whose words are aligned and so never reach into a
// page that the text does not.

void* memcpy(void* to, const void* from, std::size_t n) {
  auto* out = static_cast<char*>(to);
  const auto* in = static_cast<const char*>(from);
  for (; n >= 8; n -= 8, out += 8, in += 8) __builtin_memcpy(out, in, 8);
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
  const std::uint64_t word = every_byte * static_cast<unsigned char>(value);
  for (; n >= 8; n -= 8, out += 8) __builtin_memcpy(out, &word, 8);
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
  const std::uint64_t wanted = every_byte * static_cast<unsigned char>(value);
  for (std::uint64_t word = 0; n >= 8; n -= 8, p += 8) {
    __builtin_memcpy(&word, p, 8);
    if (const std::uint64_t found = zeros(word ^ wanted))
      return const_cast<unsigned char*>(p) + first_of(found);
  }
  for (; n > 0; --n, ++p)
    if (*p == static_cast<unsigned char>(value)) return const_cast<unsigned char*>(p);
  return nullptr;
}
std::size_t strlen(const char* text) {
  const char* end = text;
  for (; reinterpret_cast<std::uintptr_t>(end) % 8 != 0; ++end)
    if (*end == '\0') return static_cast<std::size_t>(end - text);
  for (std::uint64_t word = 0;; end += 8) {
    __builtin_memcpy(&word, end, 8);
    if (const std::uint64_t found = zeros(word))
      return static_cast<std::size_t>(end - text) + first_of(found);
  }
}

}  // extern "C"
