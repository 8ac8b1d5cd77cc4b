// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. Root emulation: a seccomp filter that makes some system calls return success without
// doing anything: those that need real root and that package managers insist on. The table below
// lists them; the filter is generated from it at compile time. How filters work:
// kernel/seccomp.hpp. No allocation; safe between clone and exec.
// Source: man 2 of each call; arch/*/tools/syscall*.tbl of the kernel for the numbers;
// Priedhorsky, Jennings, Phinney, "Zero-consistency root emulation".
//
// In a container made by an ordinary user only one id is mapped. `chown 33 /var/www` fails
// there with EINVAL, and with it the installation of a web server that would have worked
// just as well with all files owned by the user. The filter returns 0 instead.
//
// It keeps no state: a file that was "given away" still shows its old owner, and a program that
// checks will notice (apt does when it drops root: it needs APT::Sandbox::User=root). For the same
// reason setfsuid(2), which returns the previous id, always returns root.
//
// Not faked, on purpose:
// - setxattr(2), which file capabilities (security.capability) go through. A filter sees
//   where the attribute's name lies, not what it is; it could only swallow all of them, and
//   with them the user's own attributes and access lists, which work.
// - mkfifo, sockets and regular files by mknod(2): they need no root.
// - io_uring (kernel 5.1), whose operations no filter sees. It has none that changes
//   owners or ids or makes devices, so nothing gets around the filter that way.
//
// This is no sandbox: nothing is forbidden, and calls of an architecture that is not in the filter
// pass.
#pragma once

#include <asm/unistd.h>

#include <array>

#include "ch/kernel/seccomp.hpp"
#include "ch/types/result.hpp"

namespace ch::root_emulation {

/// The architecture of a system call, in the order of the table's columns.
enum class Machine : std::uint8_t { x86_64, i386, aarch64, arm, ppc64le, s390x };

/// The machines that one filter covers. They have the same byte order, since one kernel runs them
/// all.
template <Machine... Known>
struct Machines {};

/// What the kernel of this machine runs: its own programs and the older 32-bit ones. x32
/// programs count as x86-64.
#if defined(__x86_64__)
using ThisMachine = Machines<Machine::x86_64, Machine::i386>;
#else
using ThisMachine = Machines<Machine::aarch64, Machine::arm>;
#endif

/// What decides, besides its number, whether a call is faked.
enum class Fakes : std::uint8_t {
  always,
  device_by_argument_1,  // a file type in the second argument, if it is a device
  device_by_argument_2,
};

struct FakedCall {
  const char* name;
  Fakes fakes;
  std::int16_t number[6];  // by Machine; `absent` where there is no such call
};

inline constexpr std::int16_t absent = -1;

/// All that is faked, by groups: owners of files; ids and capabilities of the process;
/// devices; and kexec_load, which no container needs and which other tools use to test such a
/// filter. Names ending in 32 belong to machines whose original calls had 16-bit ids.
// clang-format off
inline constexpr FakedCall faked_calls[] = {
    //                              x86-64    i386 aarch64     arm ppc64le   s390x
    {"chown", Fakes::always,      {     92,    182, absent,    182,    181,    212}},
    {"chown32", Fakes::always,    { absent,    212, absent,    212, absent, absent}},
    {"fchown", Fakes::always,     {     93,     95,     55,     95,     95,    207}},
    {"fchown32", Fakes::always,   { absent,    207, absent,    207, absent, absent}},
    {"fchownat", Fakes::always,   {    260,    298,     54,    325,    289,    291}},
    {"lchown", Fakes::always,     {     94,     16, absent,     16,     16,    198}},
    {"lchown32", Fakes::always,   { absent,    198, absent,    198, absent, absent}},

    {"capset", Fakes::always,     {    126,    185,     91,    185,    184,    185}},
    {"setfsgid", Fakes::always,   {    123,    139,    152,    139,    139,    216}},
    {"setfsgid32", Fakes::always, { absent,    216, absent,    216, absent, absent}},
    {"setfsuid", Fakes::always,   {    122,    138,    151,    138,    138,    215}},
    {"setfsuid32", Fakes::always, { absent,    215, absent,    215, absent, absent}},
    {"setgid", Fakes::always,     {    106,     46,    144,     46,     46,    214}},
    {"setgid32", Fakes::always,   { absent,    214, absent,    214, absent, absent}},
    {"setgroups", Fakes::always,  {    116,     81,    159,     81,     81,    206}},
    {"setgroups32", Fakes::always,{ absent,    206, absent,    206, absent, absent}},
    {"setregid", Fakes::always,   {    114,     71,    143,     71,     71,    204}},
    {"setregid32", Fakes::always, { absent,    204, absent,    204, absent, absent}},
    {"setresgid", Fakes::always,  {    119,    170,    149,    170,    169,    210}},
    {"setresgid32", Fakes::always,{ absent,    210, absent,    210, absent, absent}},
    {"setresuid", Fakes::always,  {    117,    164,    147,    164,    164,    208}},
    {"setresuid32", Fakes::always,{ absent,    208, absent,    208, absent, absent}},
    {"setreuid", Fakes::always,   {    113,     70,    145,     70,     70,    203}},
    {"setreuid32", Fakes::always, { absent,    203, absent,    203, absent, absent}},
    {"setuid", Fakes::always,     {    105,     23,    146,     23,     23,    213}},
    {"setuid32", Fakes::always,   { absent,    213, absent,    213, absent, absent}},

    {"mknod", Fakes::device_by_argument_1,
                                  {    133,     14, absent,     14,     14,     14}},
    {"mknodat", Fakes::device_by_argument_2,
                                  {    259,    297,     33,    324,    288,    290}},

    {"kexec_load", Fakes::always, {    246,    283,    104,    347,    268,    277}},
    // x32 has x86-64's numbers plus one bit, except for a few; this is the only one of ours. No
    // other ABI will ever use a number of that range (512 to 547).
    {"kexec_load", Fakes::always, {    528, absent, absent, absent, absent, absent}},
};
// clang-format on

namespace detail {

inline constexpr std::uint32_t audit_arch[] = {
    kernel::audit_arch_x86_64, kernel::audit_arch_i386,    kernel::audit_arch_aarch64,
    kernel::audit_arch_arm,    kernel::audit_arch_ppc64le, kernel::audit_arch_s390x};

inline constexpr std::uint32_t character_device = 0020000;  // S_IFCHR
inline constexpr std::uint32_t block_device = 0060000;      // S_IFBLK

constexpr bool big_endian(Machine machine) noexcept { return machine == Machine::s390x; }

/// Targets of jumps.
enum class Label : std::uint8_t {
  next,  // not a jump
  mode_in_argument_1,
  mode_in_argument_2,
  test_mode,
  fake,
  machine,  // and the following values: the part for the first machine, the second...
};

/// A program being generated: its jumps refer to labels, some of which are not defined yet.
struct Listing {
  struct Line {
    std::uint16_t code = 0;
    Label target = Label::next;  // jumps have no `no`: they fall through
    std::uint32_t k = 0;
  };
  Line lines[512] = {};
  std::size_t size = 0;
  std::size_t label_at[16] = {};

  constexpr void define_label(Label place) noexcept {
    label_at[static_cast<std::size_t>(place)] = size;
  }
  constexpr void load(std::size_t offset) noexcept {
    add(kernel::bpf_ld_w_abs, Label::next, static_cast<std::uint32_t>(offset));
  }
  constexpr void keep_bits(std::uint32_t mask) noexcept {
    add(kernel::bpf_alu_and_k, Label::next, mask);
  }
  constexpr void if_equal(std::uint32_t k, Label to) noexcept { add(kernel::bpf_jmp_jeq_k, to, k); }
  constexpr void jump(Label to) noexcept { add(kernel::bpf_jmp_ja, to, 0); }
  constexpr void ret(std::uint32_t verdict) noexcept {
    add(kernel::bpf_ret_k, Label::next, verdict);
  }
  constexpr void add(std::uint16_t code, Label target, std::uint32_t k) noexcept {
    lines[size++] = {code, target, k};
  }
  /// How far line `i` jumps. A backward jump, which BPF lacks, yields a huge number.
  [[nodiscard]] constexpr std::size_t distance(std::size_t i) const noexcept {
    const Label to = lines[i].target;
    return to == Label::next ? 0 : label_at[static_cast<std::size_t>(to)] - (i + 1);
  }
  [[nodiscard]] constexpr std::size_t longest_jump() const noexcept {
    std::size_t longest = 0;
    for (std::size_t i = 0; i < size; ++i)
      if (distance(i) > longest) longest = distance(i);
    return longest;
  }
};

constexpr Label machine_label(std::size_t machine_index) noexcept {
  return static_cast<Label>(static_cast<std::size_t>(Label::machine) + machine_index);
}

constexpr Label label_for(Fakes fakes) noexcept {
  switch (fakes) {
    case Fakes::device_by_argument_1:
      return Label::mode_in_argument_1;
    case Fakes::device_by_argument_2:
      return Label::mode_in_argument_2;
    default:
      return Label::fake;
  }
}

/// Generates the filter. It compares each number in turn: since 5.11 the kernel determines once,
/// when the filter is installed, which numbers are allowed regardless of their arguments, and does
/// not run it for these at all. A binary search would only help older kernels, and make the program
/// longer and harder to read.
template <std::size_t N>
constexpr Listing write(const Machine (&known)[N]) noexcept {
  using kernel::SeccompData;
  Listing out;
  out.load(offsetof(SeccompData, arch));
  for (std::size_t i = 0; i < N; ++i)
    out.if_equal(audit_arch[static_cast<std::size_t>(known[i])], machine_label(i));
  out.ret(kernel::seccomp_ret_allow);

  for (std::size_t i = 0; i < N; ++i) {
    out.define_label(machine_label(i));
    out.load(offsetof(SeccompData, nr));
    // Clears the bit of x32, so that x32 programs are covered as well.
    if (known[i] == Machine::x86_64) out.keep_bits(~kernel::x32_syscall_bit);
    for (const FakedCall& call : faked_calls) {
      const std::int16_t number = call.number[static_cast<std::size_t>(known[i])];
      if (number != absent) out.if_equal(static_cast<std::uint32_t>(number), label_for(call.fakes));
    }
    out.ret(kernel::seccomp_ret_allow);
  }

  // The kernel uses the low 16 bits of a mode and ignores the rest; so do we.
  const std::size_t low_half = big_endian(known[0]) ? 4 : 0;
  out.define_label(Label::mode_in_argument_1);
  out.load(offsetof(SeccompData, args[1]) + low_half);
  out.jump(Label::test_mode);
  out.define_label(Label::mode_in_argument_2);
  out.load(offsetof(SeccompData, args[2]) + low_half);
  out.define_label(Label::test_mode);
  out.keep_bits(kernel::s_ifmt);
  out.if_equal(character_device, Label::fake);
  out.if_equal(block_device, Label::fake);
  out.ret(kernel::seccomp_ret_allow);
  out.define_label(Label::fake);
  out.ret(kernel::seccomp_ret_errno | 0);
  return out;
}

/// The listing with its labels resolved.
template <Machine First, Machine... Rest>
constexpr auto assemble(Machines<First, Rest...>) noexcept {
  static_assert(((big_endian(Rest) == big_endian(First)) && ...),
                "the machines of one filter have one byte order");
  constexpr Listing listing = write({First, Rest...});
  static_assert(listing.size <= kernel::bpf_maxinsns);
  static_assert(listing.longest_jump() <= 255, "a jump of BPF is eight bits wide, and forward");
  std::array<kernel::BpfInstruction, listing.size> program{};
  for (std::size_t i = 0; i < listing.size; ++i) {
    const Listing::Line& line = listing.lines[i];
    const std::size_t distance = listing.distance(i);
    if (line.code == kernel::bpf_jmp_ja)
      program[i] = {line.code, 0, 0, static_cast<std::uint32_t>(distance)};
    else
      program[i] = {line.code, static_cast<std::uint8_t>(distance), 0, line.k};
  }
  return program;
}

}  // namespace detail

/// The filter, for what this machine runs, or for others.
template <class Known = ThisMachine>
inline constexpr auto filter = detail::assemble(Known{});

/// Installs the filter for the calling thread, its children and what they execute, permanently.
/// After all steps that need the real calls (ids, devices), and after no_new_privs. Errors: see
/// kernel::install_filter.
template <kernel::Kernel K>
[[nodiscard]] Result<void> install(K& k) noexcept {
  return as_result(kernel::install_filter(k, filter<>));
}

/// Is the filter active? Makes a call that it fakes, and that the kernel would refuse even to root
/// without doing anything: mknodat with an invalid descriptor. EBADF: the call reached the kernel,
/// so the filter does not cover programs of this machine.
///
/// Not kexec_load(2): filters around us (of a service, a container engine) may kill the caller.
template <kernel::Kernel K>
[[nodiscard]] Result<void> check(K& k) noexcept {
  constexpr auto mknodat = static_cast<kernel::Call>(__NR_mknodat);
  constexpr long dev_null = 1 << 8 | 3;
  const char* const here = ".";
  const long answer =
      k.call(mknodat, static_cast<long>(kernel::Fd::none), reinterpret_cast<long>(here),
             static_cast<long>(detail::character_device | 0600), dev_null);
  return as_result(kernel::Returned<void>{answer, mknodat});
}

}  // namespace ch::root_emulation
