// SPDX-License-Identifier: Apache-2.0
//
// The filter of root emulation: run for every architecture by a small interpreter of
// BPF; compared with libseccomp's numbers and with the filter that libseccomp writes; and
// in force, on this machine.

#include "ch/plan/root_emulation.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "ch/kernel/process.hpp"
#include "tests/support/files.hpp"
#include "tests/support/process.hpp"

#if defined(CHARLIE_HAVE_SECCOMP) && __has_include(<seccomp.h>)
#include <seccomp.h>
#define TEST_WITH_LIBSECCOMP
#endif

using namespace ch;
using kernel::BpfInstruction;
using kernel::SeccompData;
using root_emulation::absent;
using root_emulation::faked_calls;
using root_emulation::FakedCall;
using root_emulation::Fakes;
using root_emulation::Machine;
using root_emulation::Machines;

// ---- the interface is the kernel's -------------------------------------------------

static_assert(sizeof(BpfInstruction) == sizeof(sock_filter));
static_assert(offsetof(BpfInstruction, jt) == offsetof(sock_filter, jt));
static_assert(offsetof(BpfInstruction, jf) == offsetof(sock_filter, jf));
static_assert(offsetof(BpfInstruction, k) == offsetof(sock_filter, k));
static_assert(sizeof(kernel::BpfProgram) == sizeof(sock_fprog));
static_assert(offsetof(kernel::BpfProgram, filter) == offsetof(sock_fprog, filter));
static_assert(sizeof(SeccompData) == sizeof(seccomp_data));
static_assert(offsetof(SeccompData, arch) == offsetof(seccomp_data, arch));
static_assert(offsetof(SeccompData, instruction_pointer) ==
              offsetof(seccomp_data, instruction_pointer));
static_assert(offsetof(SeccompData, args) == offsetof(seccomp_data, args));
static_assert(kernel::bpf_ld_w_abs == (BPF_LD | BPF_W | BPF_ABS));
static_assert(kernel::bpf_alu_and_k == (BPF_ALU | BPF_AND | BPF_K));
static_assert(kernel::bpf_jmp_ja == (BPF_JMP | BPF_JA));
static_assert(kernel::bpf_jmp_jeq_k == (BPF_JMP | BPF_JEQ | BPF_K));
static_assert(kernel::bpf_ret_k == (BPF_RET | BPF_K));
static_assert(kernel::bpf_maxinsns == BPF_MAXINSNS);
static_assert(kernel::seccomp_ret_allow == SECCOMP_RET_ALLOW);
static_assert(kernel::seccomp_ret_errno == SECCOMP_RET_ERRNO);
static_assert(kernel::audit_arch_x86_64 == AUDIT_ARCH_X86_64);
static_assert(kernel::audit_arch_i386 == AUDIT_ARCH_I386);
static_assert(kernel::audit_arch_aarch64 == AUDIT_ARCH_AARCH64);
static_assert(kernel::audit_arch_arm == AUDIT_ARCH_ARM);
static_assert(kernel::audit_arch_ppc64le == AUDIT_ARCH_PPC64LE);
static_assert(kernel::audit_arch_s390x == AUDIT_ARCH_S390X);
static_assert(kernel::pr_set_seccomp == PR_SET_SECCOMP);
static_assert(kernel::seccomp_mode_filter == SECCOMP_MODE_FILTER);
static_assert(root_emulation::detail::character_device == S_IFCHR);
static_assert(root_emulation::detail::block_device == S_IFBLK);
#ifdef __X32_SYSCALL_BIT
static_assert(kernel::x32_syscall_bit == __X32_SYSCALL_BIT);
#endif

namespace {

constexpr std::uint32_t pass = SECCOMP_RET_ALLOW;
constexpr std::uint32_t fake = SECCOMP_RET_ERRNO;

// ---- BPF interpreter -----------------------------------------------------------------

struct Verdict {
  std::uint32_t value = 0;
  bool saw_arguments = false;  // or was the number enough?
};

/// The data as it lies in the memory of a machine of either byte order.
std::vector<unsigned char> bytes_of(const SeccompData& data, std::endian order) {
  std::vector<unsigned char> bytes;
  const auto put = [&](std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) {
      const int shift = 8 * (order == std::endian::little ? i : size - 1 - i);
      bytes.push_back(static_cast<unsigned char>(value >> shift));
    }
  };
  put(static_cast<std::uint32_t>(data.nr), 4);
  put(data.arch, 4);
  put(data.instruction_pointer, 8);
  for (const std::uint64_t argument : data.args) put(argument, 8);
  return bytes;
}

/// Runs the program as the kernel would, and fails the test where it would refuse it.
Verdict interpret(std::span<const BpfInstruction> program, const SeccompData& data,
                  std::endian order = std::endian::little) {
  const auto memory = bytes_of(data, order);
  Verdict verdict;
  std::uint32_t a = 0;
  for (std::size_t at = 0; at < program.size(); ++at) {
    const auto [code, jt, jf, k] = program[at];
    const auto branch = [jt = jt, jf = jf](bool holds) { return holds ? jt : jf; };
    switch (code) {
      case BPF_LD | BPF_W | BPF_ABS: {
        if (k % 4 != 0 || k + 4 > memory.size()) FAIL("load from " << k);
        a = 0;
        for (std::size_t i = 0; i < 4; ++i) {
          const std::size_t byte = order == std::endian::big ? i : 3 - i;
          a = a << 8 | memory[k + byte];
        }
        if (k >= offsetof(seccomp_data, instruction_pointer)) verdict.saw_arguments = true;
        break;
      }
      case BPF_ALU | BPF_AND | BPF_K:
        a &= k;
        break;
      case BPF_JMP | BPF_JA:
        at += k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        at += branch(a == k);
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        at += branch(a >= k);
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        at += branch(a > k);
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        at += branch((a & k) != 0);
        break;
      case BPF_RET | BPF_K:
        verdict.value = k;
        return verdict;
      default:
        FAIL("instruction " << code << " at " << at);
    }
  }
  FAIL("the program ran past its end");
  return verdict;
}

// ---- what is expected, from the table, without any program ---------------------------

struct Column {
  Machine machine;
  const char* name;
  std::uint32_t arch;
};
constexpr Column columns[] = {
    {Machine::x86_64, "x86-64", AUDIT_ARCH_X86_64},    {Machine::i386, "i386", AUDIT_ARCH_I386},
    {Machine::aarch64, "aarch64", AUDIT_ARCH_AARCH64}, {Machine::arm, "arm", AUDIT_ARCH_ARM},
    {Machine::ppc64le, "ppc64le", AUDIT_ARCH_PPC64LE}, {Machine::s390x, "s390x", AUDIT_ARCH_S390X},
};

int number(const FakedCall& call, Machine machine) {
  return call.number[static_cast<std::size_t>(machine)];
}

std::uint32_t expected(Machine machine, const SeccompData& data) {
  int nr = data.nr;
  if (machine == Machine::x86_64) nr &= ~(1 << 30);
  for (const FakedCall& call : faked_calls) {
    if (number(call, machine) == absent || number(call, machine) != nr) continue;
    if (call.fakes == Fakes::always) return fake;
    const std::uint64_t mode = data.args[call.fakes == Fakes::device_by_argument_1 ? 1 : 2];
    const auto kind = static_cast<mode_t>(mode & S_IFMT);
    return kind == S_IFCHR || kind == S_IFBLK ? fake : pass;
  }
  return pass;
}

struct Program {
  std::string name;
  std::span<const BpfInstruction> code;
  std::set<Machine> machines;
  std::endian order = std::endian::little;
};

template <Machine... Known>
Program program(std::string name, std::endian order = std::endian::little) {
  return {std::move(name), root_emulation::filter<Machines<Known...>>, {Known...}, order};
}

std::vector<Program> programs() {
  using enum Machine;
  return {program<x86_64, i386>("x86-64 and i386"), program<aarch64, arm>("aarch64 and arm"),
          program<ppc64le>("ppc64le"), program<s390x>("s390x", std::endian::big),
          program<x86_64, i386, aarch64, arm, ppc64le>("all of little-endian")};
}

/// Modes that mknod(2) is asked for, and what lies beside them in the 64 bits of an
/// argument, which the kernel ignores.
std::vector<std::uint64_t> modes() {
  std::vector<std::uint64_t> all;
  for (std::uint64_t type = 0; type < 16; ++type)
    for (const std::uint64_t permissions : {0U, 0600U, 0777U, 07777U})
      for (const std::uint64_t above : {0ULL, 1ULL << 16, 0x7fff0000ULL, 1ULL << 32, ~0ULL << 32})
        all.push_back(type << 12 | permissions | above);
  return all;
}

SeccompData call_of(std::uint32_t arch, std::uint32_t nr, std::uint64_t mode_1 = 0,
                    std::uint64_t mode_2 = 0) {
  SeccompData data;
  data.nr = static_cast<std::int32_t>(nr);
  data.arch = arch;
  data.instruction_pointer = ~0ULL;
  data.args[0] = data.args[3] = data.args[4] = data.args[5] = 0060666;  // a device, elsewhere
  data.args[1] = mode_1;
  data.args[2] = mode_2;
  return data;
}

/// One REQUIRE per program, not one per run: those are many.
void check_all(const Program& p, std::uint32_t arch, const std::vector<SeccompData>& calls,
               const std::function<std::uint32_t(const SeccompData&)>& want) {
  for (const SeccompData& data : calls) {
    const auto got = interpret(p.code, data, p.order).value;
    if (got == want(data)) continue;
    INFO(p.name << ", arch " << arch << ", number " << data.nr << ", arguments " << data.args[1]
                << ", " << data.args[2]);
    REQUIRE(got == want(data));
  }
}

}  // namespace

TEST_CASE("each faked call of each machine is faked, and no other call is", "[pure]") {
  for (const Program& p : programs()) {
    for (const Column& column : columns) {
      if (!p.machines.contains(column.machine)) continue;
      std::vector<SeccompData> calls;
      for (std::uint32_t nr = 0; nr < 1100; ++nr)
        for (const std::uint64_t mode : {0100644U, 0020600U})
          for (const std::uint32_t more : {0U, 1U << 16, 1U << 29, 1U << 30, 1U << 31, 3U << 30})
            calls.push_back(call_of(column.arch, nr | more, mode, mode));
      calls.push_back(call_of(column.arch, ~0U, 0020600, 0020600));
      check_all(p, column.arch, calls,
                [&](const SeccompData& data) { return expected(column.machine, data); });
    }
  }
}

TEST_CASE("each call in the table gets its verdict", "[pure]") {
  // Written out without the function above: devices are faked, other files are made.
  for (const Program& p : programs()) {
    for (const Column& column : columns) {
      if (!p.machines.contains(column.machine)) continue;
      for (const FakedCall& call : faked_calls) {
        if (number(call, column.machine) == absent) continue;
        INFO(p.name << ", " << column.name << ", " << call.name);
        const auto verdict = [&](std::uint64_t mode_1, std::uint64_t mode_2) {
          const auto nr = static_cast<std::uint32_t>(number(call, column.machine));
          return interpret(p.code, call_of(column.arch, nr, mode_1, mode_2), p.order).value;
        };
        const bool first = call.fakes == Fakes::device_by_argument_1;
        CHECK(verdict(S_IFCHR | 0600, S_IFCHR | 0600) == fake);
        CHECK(verdict(S_IFBLK | 0600, S_IFBLK | 0600) == fake);
        if (call.fakes == Fakes::always) {
          CHECK(verdict(0, 0) == fake);
        } else {
          CHECK(verdict(S_IFIFO | 0600, S_IFIFO | 0600) == pass);
          CHECK(verdict(S_IFCHR, S_IFREG) == (first ? fake : pass));
          CHECK(verdict(S_IFREG, S_IFCHR) == (first ? pass : fake));
        }
      }
    }
  }
}

TEST_CASE("mknod is faked for devices only, whatever the other bits of the mode", "[pure]") {
  for (const Program& p : programs()) {
    for (const Column& column : columns) {
      if (!p.machines.contains(column.machine)) continue;
      for (const FakedCall& call : faked_calls) {
        if (call.fakes == Fakes::always || number(call, column.machine) == absent) continue;
        std::vector<SeccompData> calls;
        for (const std::uint64_t mode : modes())
          for (const std::uint64_t other : {0ULL, 0020000ULL, 0060000ULL, ~0ULL}) {
            const auto nr = static_cast<std::uint32_t>(number(call, column.machine));
            const bool first = call.fakes == Fakes::device_by_argument_1;
            calls.push_back(call_of(column.arch, nr, first ? mode : other, first ? other : mode));
          }
        check_all(p, column.arch, calls,
                  [&](const SeccompData& data) { return expected(column.machine, data); });
      }
    }
  }
}

TEST_CASE("calls of a machine that the filter does not know pass", "[pure]") {
  for (const Program& p : programs()) {
    std::vector<std::uint32_t> unknown = {0, ~0U, AUDIT_ARCH_RISCV64, AUDIT_ARCH_S390,
                                          AUDIT_ARCH_PPC64};
    for (const Column& column : columns) {
      if (!p.machines.contains(column.machine)) unknown.push_back(column.arch);
      unknown.push_back(column.arch ^ static_cast<std::uint32_t>(__AUDIT_ARCH_LE));
    }
    for (const std::uint32_t arch : unknown) {
      std::vector<SeccompData> calls;
      for (std::uint32_t nr = 0; nr < 600; ++nr)
        calls.push_back(call_of(arch, nr, S_IFCHR, S_IFCHR));
      check_all(p, arch, calls, [](const SeccompData&) { return pass; });
    }
  }
}

TEST_CASE("an x32 program's calls are faked like an x86-64 program's", "[pure]") {
  const auto p = program<Machine::x86_64, Machine::i386>("x86-64 and i386");
  const auto verdict = [&](std::uint32_t arch, std::uint32_t nr) {
    return interpret(p.code, call_of(arch, nr)).value;
  };
  CHECK(verdict(AUDIT_ARCH_X86_64, 92) == fake);  // chown
  CHECK(verdict(AUDIT_ARCH_X86_64, 92 | 1U << 30) == fake);
  CHECK(verdict(AUDIT_ARCH_X86_64, 528 | 1U << 30) == fake);  // its own kexec_load
  CHECK(verdict(AUDIT_ARCH_X86_64, 92 | 1U << 31) == pass);
  CHECK(verdict(AUDIT_ARCH_X86_64, 39 | 1U << 30) == pass);  // getpid
  CHECK(verdict(AUDIT_ARCH_I386, 182 | 1U << 30) == pass);   // i386 has no such bit
}

TEST_CASE("a call that always passes is recognised by its number alone", "[pure]") {
  // So that the kernel, from 5.11 on, need not run the filter for it.
  for (const Program& p : programs())
    for (const Column& column : columns)
      for (std::uint32_t nr = 0; nr < 600; ++nr) {
        const auto verdict = interpret(p.code, call_of(column.arch, nr), p.order);
        bool decided_by_mode = false;
        for (const FakedCall& call : faked_calls)
          decided_by_mode |= p.machines.contains(column.machine) && call.fakes != Fakes::always &&
                             number(call, column.machine) == static_cast<int>(nr);
        if (verdict.saw_arguments == decided_by_mode) continue;
        INFO(p.name << ", " << column.name << ", number " << nr);
        REQUIRE(verdict.saw_arguments == decided_by_mode);
      }
}

TEST_CASE("the filter is well formed and small", "[pure]") {
  CHECK(root_emulation::filter<>.size() < 70);
  for (const Program& p : programs()) {
    INFO(p.name);
    REQUIRE_FALSE(p.code.empty());
    CHECK(p.code.size() < 200);
    CHECK(p.code.back() == BpfInstruction{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO});
    std::set<std::size_t> reached = {0};
    for (std::size_t i = 0; i < p.code.size(); ++i) {
      INFO("instruction " << i);
      CHECK(reached.contains(i));
      const auto [code, jt, jf, k] = p.code[i];
      if (code == (BPF_RET | BPF_K)) continue;
      const bool always = code == (BPF_JMP | BPF_JA);
      for (const std::size_t distance :
           {always ? std::size_t{k} : std::size_t{jt}, always ? std::size_t{k} : std::size_t{jf}}) {
        CHECK(i + 1 + distance < p.code.size());
        reached.insert(i + 1 + distance);
      }
    }
  }
}

TEST_CASE("no architecture has two calls with the same number", "[pure]") {
  for (const Column& column : columns) {
    std::map<int, std::string> seen;
    for (const FakedCall& call : faked_calls) {
      const int nr = number(call, column.machine);
      if (nr == absent) continue;
      INFO(column.name << ": " << call.name << " and " << seen[nr]);
      CHECK(seen[nr].empty());
      seen[nr] = call.name;
    }
  }
}

TEST_CASE("this machine's numbers are those of its headers", "[pure]") {
  std::map<std::string, int> headers = {
      {"capset", SYS_capset},       {"fchown", SYS_fchown},         {"fchownat", SYS_fchownat},
      {"mknodat", SYS_mknodat},     {"setfsgid", SYS_setfsgid},     {"setfsuid", SYS_setfsuid},
      {"setgid", SYS_setgid},       {"setgroups", SYS_setgroups},   {"setregid", SYS_setregid},
      {"setresgid", SYS_setresgid}, {"setresuid", SYS_setresuid},   {"setreuid", SYS_setreuid},
      {"setuid", SYS_setuid},       {"kexec_load", SYS_kexec_load},
#ifdef SYS_chown
      {"chown", SYS_chown},         {"lchown", SYS_lchown},         {"mknod", SYS_mknod},
#endif
  };
#if defined(__x86_64__)
  constexpr auto here = Machine::x86_64;
#else
  constexpr auto here = Machine::aarch64;
#endif
  std::map<std::string, int> table;
  for (const FakedCall& call : faked_calls)
    if (number(call, here) != absent) table.insert({call.name, number(call, here)});
  CHECK(table == headers);
}

#ifdef TEST_WITH_LIBSECCOMP

TEST_CASE("all numbers are those that libseccomp knows", "[pure]") {
  const std::map<Machine, std::uint32_t> tokens = {
      {Machine::x86_64, SCMP_ARCH_X86_64},   {Machine::i386, SCMP_ARCH_X86},
      {Machine::aarch64, SCMP_ARCH_AARCH64}, {Machine::arm, SCMP_ARCH_ARM},
      {Machine::ppc64le, SCMP_ARCH_PPC64LE}, {Machine::s390x, SCMP_ARCH_S390X}};
  for (const Column& column : columns)
    for (const FakedCall& call : faked_calls) {
      const int nr = number(call, column.machine);
      // libseccomp gives negative numbers to calls that a machine lacks.
      const int known = seccomp_syscall_resolve_name_arch(tokens.at(column.machine), call.name);
      INFO(column.name << ", " << call.name);
      const bool of_x32 = &call == std::end(faked_calls) - 1;
      if (!of_x32) CHECK(nr == (known < 0 ? absent : known));
    }
  for (const FakedCall& call : faked_calls) {
    const int known = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X32, call.name);
    if (known < 0) continue;
    INFO("x32, " << call.name);
    bool found = false;
    for (const FakedCall& other : faked_calls)
      found |= std::string(other.name) == call.name &&
               (number(other, Machine::x86_64) | 1 << 30) == known;
    CHECK(found);
  }
}

namespace {

/// libseccomp's filter for the same request. It writes in the byte order of the machine that
/// the filter is for.
std::vector<BpfInstruction> libseccomp_filter(const std::vector<std::uint32_t>& arches,
                                              std::endian order) {
  scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
  REQUIRE(context != nullptr);
  REQUIRE(seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW) == 0);
  REQUIRE(seccomp_arch_remove(context, SCMP_ARCH_NATIVE) == 0);
  for (const std::uint32_t arch : arches) REQUIRE(seccomp_arch_add(context, arch) == 0);
  std::set<std::string> names;
  for (const FakedCall& call : faked_calls) {
    if (!names.insert(call.name).second) continue;
    const int nr = seccomp_syscall_resolve_name(call.name);  // its own numbers where negative
    INFO(call.name);
    if (call.fakes == Fakes::always) {
      REQUIRE(seccomp_rule_add(context, SCMP_ACT_ERRNO(0), nr, 0) == 0);
      continue;
    }
    const unsigned argument = call.fakes == Fakes::device_by_argument_1 ? 1 : 2;
    for (const std::uint64_t kind : {0020000U, 0060000U}) {
      const scmp_arg_cmp compare = {argument, SCMP_CMP_MASKED_EQ, S_IFMT, kind};
      REQUIRE(seccomp_rule_add_array(context, SCMP_ACT_ERRNO(0), nr, 1, &compare) == 0);
    }
  }
  const int file = memfd_create("filter", MFD_CLOEXEC);
  REQUIRE(seccomp_export_bpf(context, file) == 0);
  seccomp_release(context);
  std::vector<BpfInstruction> code(static_cast<std::size_t>(lseek(file, 0, SEEK_END)) / 8);
  REQUIRE(pread(file, code.data(), code.size() * 8, 0) == static_cast<ssize_t>(code.size() * 8));
  close(file);
  if (order != std::endian::native)
    for (BpfInstruction& i : code)
      i = {__builtin_bswap16(i.code), i.jt, i.jf, __builtin_bswap32(i.k)};
  return code;
}

}  // namespace

TEST_CASE("libseccomp's filter for the same calls gives the same verdicts", "[pure]") {
  struct Pair {
    Program ours;
    std::vector<std::uint32_t> arches;
  };
  const Pair pairs[] = {
      {program<Machine::x86_64, Machine::i386>("x86-64 and i386"),
       {SCMP_ARCH_X86_64, SCMP_ARCH_X32, SCMP_ARCH_X86}},
      {program<Machine::aarch64, Machine::arm>("aarch64 and arm"),
       {SCMP_ARCH_AARCH64, SCMP_ARCH_ARM}},
      {program<Machine::ppc64le>("ppc64le"), {SCMP_ARCH_PPC64LE}},
      {program<Machine::s390x>("s390x", std::endian::big), {SCMP_ARCH_S390X}},
  };
  for (const Pair& pair : pairs) {
    const auto theirs = libseccomp_filter(pair.arches, pair.ours.order);
    INFO(pair.ours.name << ": " << pair.ours.code.size() << " instructions, libseccomp "
                        << theirs.size());
    CHECK(pair.ours.code.size() < theirs.size());
    for (const Column& column : columns) {
      std::vector<SeccompData> calls;
      for (std::uint32_t nr = 0; nr < 600; ++nr)
        for (const std::uint32_t more : {0U, 1U << 30}) {
          // The two kexec_load of the ABIs that share an arch; each is in both ABIs here.
          if (column.machine == Machine::x86_64 && (nr == 246 || nr == 528)) continue;
          for (const std::uint64_t mode : {0010600ULL, 0020600ULL, 0060600ULL, 0100600ULL,
                                           0140600ULL, 1ULL << 32 | 0020600, 1ULL << 16 | 0060600})
            calls.push_back(call_of(column.arch, nr | more, mode, mode));
        }
      check_all(pair.ours, column.arch, calls, [&](const SeccompData& data) {
        return interpret(theirs, data, pair.ours.order).value;
      });
    }
  }
}

#endif

// ---- the calls that install and check ----------------------------------------------------

namespace {

/// Returns `answer` from every call and remembers the last one.
struct OneAnswer {
  long answer = 0;
  int calls = 0;
  kernel::Call last = kernel::Call::none;
  long arguments[6] = {};

  template <class... Arguments>
  long call(kernel::Call which, Arguments... a) noexcept {
    const long all[6] = {a...};
    std::memcpy(arguments, all, sizeof all);
    last = which;
    ++calls;
    if (which == kernel::Call::prctl) {
      const auto* program = reinterpret_cast<const kernel::BpfProgram*>(arguments[2]);
      installed = {program->filter, program->len};
    }
    return answer;
  }
  std::span<const BpfInstruction> installed;
};

}  // namespace

TEST_CASE("installing is one prctl with the program", "[pure]") {
  OneAnswer k;
  REQUIRE(root_emulation::install(k));
  CHECK(k.calls == 1);
  CHECK(k.arguments[0] == PR_SET_SECCOMP);
  CHECK(k.arguments[1] == SECCOMP_MODE_FILTER);
  CHECK(k.installed.data() == root_emulation::filter<>.data());
  CHECK(k.installed.size() == root_emulation::filter<>.size());
  k.answer = -EACCES;
  const auto refused = root_emulation::install(k);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errno::eacces);
  CHECK(refused.error().operation == kernel::Call::prctl);
}

TEST_CASE("a filter that is too long is refused, not cut", "[pure]") {
  OneAnswer k;
  const std::vector<BpfInstruction> code(65537, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
  CHECK(kernel::install_filter(k, code).error() == Errno::einval);
  CHECK(k.calls == 0);
}

TEST_CASE("the check uses a device that no kernel would make", "[pure]") {
  OneAnswer k;
  CHECK(root_emulation::check(k));
  CHECK(static_cast<long>(k.last) == SYS_mknodat);
  CHECK(k.arguments[0] == -1);
  CHECK((k.arguments[2] & S_IFMT) == S_IFCHR);
  CHECK(static_cast<dev_t>(k.arguments[3]) == makedev(1, 3));
  k.answer = -EBADF;
  const auto got_through = root_emulation::check(k);
  REQUIRE_FALSE(got_through);
  CHECK(got_through.error().code == Errno::ebadf);
}

// ---- in force ----------------------------------------------------------------------------

namespace {

/// How `work` ended in a child of ours: its result, or 128 + signal.
int in_child(const std::function<int()>& work) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(work());
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// In a child of ours: ends its work, saying why, unless the condition holds.
#define CLAIM(condition)                                     \
  do {                                                       \
    if (!(condition)) {                                      \
      std::fputs("does not hold: " #condition "\n", stderr); \
      _exit(1);                                              \
    }                                                        \
  } while (false)

bool not_in_force(kernel::Linux& k) {
  const auto checked = root_emulation::check(k);
  return !checked && checked.error().code == Errno::ebadf;
}

/// Puts the filter in force, as a launch does.
void emulate_root() {
  kernel::Linux k;
  CLAIM(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CLAIM(not_in_force(k));
  CLAIM(root_emulation::install(k));
  CLAIM(root_emulation::check(k));
}

}  // namespace

TEST_CASE("under the filter, root's calls succeed and change nothing", "[userns]") {
  const test::TempDir dir;
  const std::string file = dir / "file";
  const std::string device = dir / "device";
  test::write_file(file, "x");
  struct stat before {};
  REQUIRE(stat(file.c_str(), &before) == 0);
  const int status = in_child([&] {
    const uid_t uid = getuid();
    const gid_t gid = getgid();
    const std::vector<gid_t> no_groups;
    const int open_file = open(file.c_str(), O_RDWR | O_CLOEXEC);
    emulate_root();
    // By number: libc may choose another call than the one that is named.
    CLAIM(syscall(SYS_fchown, open_file, 12345, 54321) == 0);
    CLAIM(syscall(SYS_fchownat, AT_FDCWD, file.c_str(), 12345, 54321, 0) == 0);
    CLAIM(syscall(SYS_fchownat, AT_FDCWD, "/nowhere", 12345, 54321, 0) == 0);
#ifdef SYS_chown
    CLAIM(syscall(SYS_chown, file.c_str(), 12345, 54321) == 0);
    CLAIM(syscall(SYS_lchown, file.c_str(), 12345, 54321) == 0);
    CLAIM(syscall(SYS_mknod, device.c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0);
    CLAIM(syscall(SYS_mknod, device.c_str(), S_IFBLK | 0600, makedev(7, 0)) == 0);
#endif
    CLAIM(syscall(SYS_mknodat, AT_FDCWD, device.c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0);
    CLAIM(syscall(SYS_mknodat, AT_FDCWD, device.c_str(), S_IFBLK | 0600, makedev(7, 0)) == 0);
    CLAIM(syscall(SYS_setuid, 12345) == 0);
    CLAIM(syscall(SYS_setgid, 12345) == 0);
    CLAIM(syscall(SYS_setreuid, 12345, 12345) == 0);
    CLAIM(syscall(SYS_setregid, 12345, 12345) == 0);
    CLAIM(syscall(SYS_setresuid, 12345, 12345, 12345) == 0);
    CLAIM(syscall(SYS_setresgid, 12345, 12345, 12345) == 0);
    CLAIM(syscall(SYS_setfsuid, 12345) == 0);
    CLAIM(syscall(SYS_setfsgid, 12345) == 0);
    CLAIM(syscall(SYS_setgroups, 0, no_groups.data()) == 0);
    CLAIM(syscall(SYS_capset, nullptr, nullptr) == 0);
    CLAIM(syscall(SYS_kexec_load, 0, ~0UL, nullptr, ~0UL) == 0);
    uid_t uids[3];
    gid_t gids[3];
    CLAIM(getresuid(&uids[0], &uids[1], &uids[2]) == 0);
    CLAIM(getresgid(&gids[0], &gids[1], &gids[2]) == 0);
    CLAIM(uids[0] == uid && uids[1] == uid && uids[2] == uid);
    CLAIM(gids[0] == gid && gids[1] == gid && gids[2] == gid);
    return 0;
  });
  CHECK(status == 0);
  struct stat after {};
  REQUIRE(stat(file.c_str(), &after) == 0);
  CHECK(after.st_uid == before.st_uid);
  CHECK(after.st_gid == before.st_gid);
  CHECK_FALSE(test::fs::exists(device));
}

TEST_CASE("under the filter, what needs no root is really done", "[userns]") {
  const test::TempDir dir;
  const int status = in_child([&] {
    emulate_root();
    const auto made = [&](const char* name, mode_t kind) {
      struct stat found {};
      return stat((dir / name).c_str(), &found) == 0 && (found.st_mode & S_IFMT) == kind;
    };
    CLAIM(mkfifo((dir / "fifo").c_str(), 0600) == 0 && made("fifo", S_IFIFO));
    CLAIM(mknod((dir / "socket").c_str(), S_IFSOCK | 0600, 0) == 0 && made("socket", S_IFSOCK));
    CLAIM(mknod((dir / "regular").c_str(), S_IFREG | 0600, 0) == 0 && made("regular", S_IFREG));
    CLAIM(mknod((dir / "zero").c_str(), 0600, 0) == 0 && made("zero", S_IFREG));
    CLAIM(mkfifo((dir / "fifo").c_str(), 0600) == -1 && errno == EEXIST);
    CLAIM(mkdir((dir / "directory").c_str(), 0700) == 0);
    CLAIM(chmod((dir / "regular").c_str(), 0640) == 0);
    CLAIM(getppid() > 1 && access("/nowhere", F_OK) == -1 && errno == ENOENT);
    return 0;
  });
  CHECK(status == 0);
}

TEST_CASE("programs inherit the filter", "[userns]") {
  const test::TempDir dir;
  test::write_file(dir / "file", "x");
  test::RunOptions options;
  options.in_child = emulate_root;
  const auto ran = test::run(
      {"sh", "-c", "chown 12345:54321 \"$0\" && (chgrp 54321 \"$0\") && mknod \"$0.null\" c 1 3",
       dir / "file"},
      options);
  // mknod(1) may look at what it made; chown and chgrp don't.
  INFO(ran.err);
  CHECK(ran.err.find("chown") == std::string::npos);
  CHECK(ran.err.find("chgrp") == std::string::npos);
  struct stat after {};
  REQUIRE(stat((dir / "file").c_str(), &after) == 0);
  CHECK(after.st_uid == geteuid());
  CHECK_FALSE(test::fs::exists(dir / "file.null"));
}

TEST_CASE("an ordinary user needs no_new_privs, root of a namespace does not", "[userns]") {
  if (geteuid() != 0) {
    CHECK(in_child([] {
            kernel::Linux k;
            const auto refused = root_emulation::install(k);
            CLAIM(!refused && refused.error().code == Errno::eacces);
            return 0;
          }) == 0);
  }
  CHECK(in_child([] {
          kernel::Linux k;
          CLAIM(kernel::unshare(k, kernel::clone_newuser).ok());
          CLAIM(not_in_force(k));
          CLAIM(root_emulation::install(k));
          CLAIM(root_emulation::check(k));
          return 0;
        }) == 0);
}

#if defined(__x86_64__)

TEST_CASE("calls through the older entries into the kernel are faked too", "[userns]") {
  const auto i386 = [](long nr, long argument) {
    long result = nr;
    __asm__ volatile("int $0x80"
                     : "+a"(result)
                     : "b"(argument)
                     : "memory", "r8", "r9", "r10", "r11");
    return result;
  };
  CHECK(in_child([] {
          emulate_root();
          CLAIM(syscall(105 | 1L << 30, 12345) == 0);  // x32's setuid
          CLAIM(syscall(39 | 1L << 30) != 0);          // its getpid: a number, or ENOSYS
          return 0;
        }) == 0);
  const bool runs_32_bit = in_child([&] { return i386(20, 0) == getpid() ? 0 : 1; }) == 0;
  SKIP_UNLESS(runs_32_bit, "this kernel runs no 32-bit programs");
  CHECK(in_child([&] {
          const uid_t uid = getuid();
          emulate_root();
          CLAIM(i386(213, 12345) == 0);  // setuid32
          CLAIM(i386(23, 12345) == 0);   // setuid
          CLAIM(i386(20, 0) == getpid());
          CLAIM(getuid() == uid);
          return 0;
        }) == 0);
}

#endif
