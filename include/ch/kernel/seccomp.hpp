// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. Seccomp filters: a small program that a process gives the kernel, and that the
// kernel runs at the entry of each of its system calls to decide the fate of the call. Here are the
// instructions, their input and results, and the call that installs a program;
// plan/root_emulation.hpp writes one. No allocation; safe between clone and exec.
// Source: man 2 seccomp; Documentation/userspace-api/seccomp_filter.rst;
// include/uapi/linux/{bpf_common,filter,seccomp,audit}.h.
#pragma once

#include <span>

#include "ch/kernel/kernel.hpp"

namespace ch::kernel {

/// One instruction of classic BPF (sock_filter); all are eight bytes long.
///
/// The machine that runs them was made for picking network packets and is as simple as
/// that needs: one register A (and another, X, that nothing here uses), a block of bytes
/// that it can read and not write (SeccompData), and jumps that only go forward, so that
/// every program ends. It can follow no pointer: of open("/etc/passwd", ...) it sees
/// where the path lies in memory, not what it says; which is just as well, since another thread
/// could change the path between the check and the call.
///
/// A jump's distance counts from the *next* instruction, and in a conditional one it has
/// eight bits: `jt` if the comparison holds, `jf` if not. The last instruction executed returns the
/// verdict. The kernel refuses a program that could run past its end and translates the others to
/// machine code.
struct BpfInstruction {
  std::uint16_t code = 0;
  std::uint8_t jt = 0, jf = 0;
  std::uint32_t k = 0;

  friend constexpr bool operator==(const BpfInstruction&, const BpfInstruction&) noexcept = default;
};
static_assert(sizeof(BpfInstruction) == 8);

// Values of `code`; the kernel's names, composed of class, operation and source.
inline constexpr std::uint16_t bpf_ld_w_abs = 0x20;   // A = the 32 bits at offset k
inline constexpr std::uint16_t bpf_alu_and_k = 0x54;  // A = A & k
inline constexpr std::uint16_t bpf_jmp_ja = 0x05;     // goes k further, always
inline constexpr std::uint16_t bpf_jmp_jeq_k = 0x15;  // A == k: goes jt further, else jf
inline constexpr std::uint16_t bpf_ret_k = 0x06;      // the verdict is k
inline constexpr std::size_t bpf_maxinsns = 4096;

/// What a filter reads (seccomp_data). Every argument takes 64 bits, also those of 32-bit
/// programs; loads are of 32 bits, so one half at a time.
struct SeccompData {
  std::int32_t nr = 0;     // the system call's number, which means nothing without arch
  std::uint32_t arch = 0;  // whose numbers: one kernel serves programs of several kinds
  std::uint64_t instruction_pointer = 0;
  std::uint64_t args[6] = {};
};
static_assert(sizeof(SeccompData) == 64);

// Verdicts. With several filters in force all run, and the strictest verdict counts: kill,
// then trap, then errno, and allow last. Of two of the same kind, that of the later filter.
inline constexpr std::uint32_t seccomp_ret_allow = 0x7fff0000;
/// The call is not made and fails with the error number in the low 16 bits. With 0 there
/// it is not made either, and returns 0: success.
inline constexpr std::uint32_t seccomp_ret_errno = 0x00050000;

// SeccompData::arch: the ELF machine, a bit for 64-bit, a bit for little-endian.
inline constexpr std::uint32_t audit_arch_x86_64 = 0xc000003e;
inline constexpr std::uint32_t audit_arch_i386 = 0x40000003;
inline constexpr std::uint32_t audit_arch_aarch64 = 0xc00000b7;
inline constexpr std::uint32_t audit_arch_arm = 0x40000028;
inline constexpr std::uint32_t audit_arch_ppc64le = 0xc0000015;
inline constexpr std::uint32_t audit_arch_s390x = 0x80000016;
/// Set in the number of a call by the x32 ABI, which has x86-64's arch.
inline constexpr std::uint32_t x32_syscall_bit = 0x40000000;

inline constexpr int pr_set_seccomp = 22;
inline constexpr long seccomp_mode_filter = 2;

/// A program as the kernel takes it (sock_fprog).
struct BpfProgram {
  std::uint16_t len = 0;
  const BpfInstruction* filter = nullptr;
};

/// Installs `filter` for the calling thread, its future children and all that they execute,
/// permanently: filters can be added, never removed. The program is copied.
///
/// Precondition: no_new_privs is set, or the caller has CAP_SYS_ADMIN in its user
/// namespace (otherwise EACCES: a filter that lies to a set-user-id program could subvert it).
/// EINVAL: no instruction or more than bpf_maxinsns, a malformed program, or a kernel built without
/// filters. Kernel 3.5.
///
/// prctl, not seccomp(2), whose flags we don't need. Before 5.16 a filter may also enable
/// mitigations against speculative execution, which slow some programs down; seccomp(2) with
/// SECCOMP_FILTER_FLAG_SPEC_ALLOW would not.
template <Kernel K>
Returned<void> install_filter(K& k, std::span<const BpfInstruction> filter) noexcept {
  // 65537 instructions would look like one: `len` has 16 bits.
  if (filter.size() > bpf_maxinsns) return {-static_cast<long>(Errno::einval), Call::prctl};
  const BpfProgram program{static_cast<std::uint16_t>(filter.size()), filter.data()};
  return detail::make<void>(k, Call::prctl, pr_set_seccomp, seccomp_mode_filter, &program, 0, 0);
}

}  // namespace ch::kernel
