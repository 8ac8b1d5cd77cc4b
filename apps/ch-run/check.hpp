// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. ch-run --check, and ch-run called as ch-checkns: can this host run containers?
// Actually tries each feature in a short-lived child, and for each that fails says which setting is
// at fault. Exit status 0: containers work, perhaps without some features.
#pragma once

#include "apps/ch-run/launch_kernel.hpp"
#include "apps/ch-run/printed.hpp"
#include "apps/ch-run/remedy_words.hpp"
#include "ch/cli/output.hpp"
#include "ch/execute/execute.hpp"
#include "ch/launch.hpp"
#include "ch/policies/idmap/id_map.hpp"
#include "ch/policies/ns/namespace_set.hpp"
#include "ch/show/explain.hpp"
#include "ch/show/print_text.hpp"

namespace ch_run {

namespace detail {

/// Runs `tried` in a child and returns its result: 0, or the error number.
template <class Attempt>
ch::Errno attempt(Attempt tried) noexcept {
  ch::kernel::Linux machine;
  LaunchKernel k(machine);
  const auto ended = ch::call_in_child(
      k,
      [](void* self) {
        ch::kernel::Linux inner;
        return static_cast<int>((*static_cast<Attempt*>(self))(inner));
      },
      &tried);
  if (!ended) return ended.error().code;
  return ended->signal == 0 ? static_cast<ch::Errno>(ended->code) : ch::Errno::eio;
}

/// Executes the steps and returns the error, if any.
inline ch::Errno perform_all(ch::kernel::Linux& linux_kernel,
                             std::span<const ch::Step> steps) noexcept {
  LaunchKernel k(linux_kernel);
  // These steps have no lasting effect, so there is nothing to undo.
  const auto done = ch::execute(k, {steps, ch::Assembly::attached}, ch::Execution{});
  return done ? ch::Errno::none : done.error().code;
}

class Report {
 public:
  Report(const ch::HostFacts& facts, const ch::HostLimits& limits) noexcept
      : facts_(facts), limits_(limits) {}

  void line(std::string_view what, ch::Errno code, std::string_view consequence = {}) noexcept {
    out_(code == ch::Errno::none ? "  yes  " : "  no   ");
    out_(what);
    if (code != ch::Errno::none) {
      ch::TextBuffer<96> text;
      text << ": " << code;
      out_(text.view());
    }
    out_("\n");
    if (code == ch::Errno::none) return;
    const ch::Step steps[] = {ch::step::CreateNamespaces{}};
    const auto why =
        ch::explain({code, ch::kernel::Call::unshare, static_cast<ch::StepIndex>(0), {}}, {steps},
                    limits_, remedy_words);
    detail("cause", why.cause);
    detail("remedy", why.remedy);
    detail("without it", consequence);
  }
  void note(std::string_view what, std::string_view value) noexcept {
    out_("       ");
    out_(what);
    out_(": ");
    out_(value);
    out_("\n");
  }
  /// Tries to enter new namespaces as root of a user namespace.
  [[nodiscard]] ch::Errno namespaces(ch::NamespaceFlags more) const noexcept {
    return attempt([&](ch::kernel::Linux& k) {
      ch::ArenaOf<16384> arena;
      ch::PlanBuilder b(arena);
      b.add(ch::step::CreateNamespaces{ch::ns::user::flag | more});
      ch::AsRoot{}.contribute(b, facts_);
      return perform_all(k, b.finish()->steps);
    });
  }

  [[nodiscard]] int finish(int status) noexcept { return printed(out_, status); }

 private:
  void detail(std::string_view label, std::string_view text) noexcept {
    if (!text.empty()) note(label, text);
  }

  const ch::HostFacts& facts_;
  const ch::HostLimits& limits_;
  ch::cli::Output out_{ch::cli::standard_output};
};

}  // namespace detail

/// Prints the report; returns the exit status.
inline int check() noexcept {
  using namespace ch;
  kernel::Linux machine;
  LaunchKernel k(machine);
  const HostFacts facts = probe(k);
  const HostLimits limits = probe_limits(k);
  detail::Report report(facts, limits);

  const Errno user = detail::attempt(
      [](kernel::Linux& inner) { return kernel::unshare(inner, kernel::clone_newuser).error(); });
  report.line("user namespaces", user, "no containers at all");
  const Errno mount = user != Errno::none ? user : report.namespaces(ns::mount::flag);
  if (user == Errno::none) report.line("mount namespaces", mount, "no containers at all");
  if (mount == Errno::none) {
    for (const NamespaceKind& kind : namespace_kinds) {
      if (kind.flag == ns::user::flag || kind.flag == ns::mount::flag) continue;
      TextBuffer<48> what;
      what << kind.name << " namespaces";
      report.line(what.view(), report.namespaces(kind.flag), "--namespaces can't have this one");
    }
    const Errno filesystems = detail::attempt([&](kernel::Linux& inner) {
      ArenaOf<16384> arena;
      PlanBuilder b(arena);
      b.add(step::CreateNamespaces{ns::user::flag | ns::mount::flag});
      AsRoot{}.contribute(b, facts);
      if (const Errno e = detail::perform_all(inner, b.finish()->steps); e != Errno::none) return e;
      return kernel::mount(inner, "tmpfs", "/proc/self", "tmpfs", 0).error();
    });
    report.line("mounting a tmpfs", filesystems, "no --home, no generated /etc/passwd");
    const Errno overlay = detail::attempt([&](kernel::Linux& inner) {
      return kernel::fsopen(inner, "overlay").error() == Errno::enodev ? Errno::enodev
                                                                       : Errno::none;
    });
    report.line("overlay file systems", overlay,
                "missing mount points are errors; no --write-fake, no --overlay");
  }
  const auto openat2 = kernel::openat2(k, Fd::cwd, "/", {kernel::o_path, 0, 0});
  if (openat2.ok()) (void)kernel::close(k, openat2.value());
  report.line("openat2", openat2.error(), "a slower look-up in user space is used");
  constexpr const char* ways[] = {"detached (Linux 6.15)", "attached (Linux 5.12)",
                                  "classic (older Linux)"};
  report.note("mounts are assembled", ways[static_cast<std::size_t>(facts.assembly)]);
  return report.finish(mount == Errno::none ? 0 : 1);
}

}  // namespace ch_run
