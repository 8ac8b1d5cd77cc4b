// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. ch-run IMAGE -- COMMAND: parse, describe the container, enter it, execute the command.
// Runs without libc (freestanding/start.cpp): everything here and below is launch path.

#include "apps/ch-run/check.hpp"
#include "apps/ch-run/configuration.hpp"
#include "apps/ch-run/describe.hpp"
#include "apps/ch-run/information.hpp"
#include "apps/ch-run/launch_kernel.hpp"
#include "apps/ch-run/report.hpp"
#include "apps/ch-run/resolve_devices.hpp"
#include "ch/cli/privilege.hpp"
#include "ch/execute/step_timing.hpp"
#include "ch/init.hpp"
#include "ch/kernel/narrating.hpp"

namespace {

using namespace ch;
using namespace ch_run;

/// Applies the configuration files that exist. Returns 0 or the exit status, with what is
/// wrong in `l.problem`.
int configure(Launch& l) noexcept {
  const char* chosen = l.environment.get("CH_RUN_CONF");
  if (chosen != nullptr && chosen[0] == '\0') chosen = nullptr;
  for (const char* path : {site_configuration, chosen}) {
    if (path == nullptr) continue;
    const auto text = read_text_file(l.k, Fd::cwd, path, l.arena);
    if (!text) {
      // Only the file that the user names has to exist.
      if (path == site_configuration && text.error().code == Errno::enoent) continue;
      l.report_unreadable("can't read the configuration ", path, text.error().code);
      return exit_container;
    }
    const auto wrong = apply_configuration(*text, l.options, l.arena);
    l.configurations[path == site_configuration ? 0 : 1] = path;
    if (!wrong) continue;
    l.problem << wrong.problem << ": " << wrong.subject << ", in " << path;
    return exit_usage;
  }
  return 0;
}

/// Applies the output of ch-device if the command line names such a file. Returns as configure
/// does.
int configure_devices(Launch& l, int argc, char** argv) noexcept {
  const char* path = nullptr;
  if (!mentions(argc, argv, device_file, &path) || path == nullptr) return 0;
  const auto text = read_text_file(l.k, Fd::cwd, path, l.arena);
  if (!text) {
    l.report_unreadable("can't read the device file ", path, text.error().code);
    return exit_container;
  }
  const auto wrong = apply_devices(*text, l.options, l.arena);
  if (!wrong) return 0;
  l.problem << wrong.problem << ": " << wrong.subject << ", in " << path;
  return exit_usage;
}

/// Enters the container and executes the command; in a child if the namespaces require one.
int launch(LaunchKernel& k, const Launch& l, const Plan& plan) noexcept {
  const Result<Execution> execution = prepare(plan, l.arena);
  if (!execution) return report(l, plan, execution.error());
  const auto* attach = std::get_if<AttachToPid>(&l.made.container.join.choice);
  if (needs_child(attach != nullptr ? attach->flags : l.made.container.namespaces.flags()))
    supervise_plan(k, plan, *execution, [&](const Error& error) { return report(l, plan, error); });
  return report(l, plan, execute(k, plan, *execution, Descriptors::close_at_exec).error());
}

int execute_or_print(Launch& l, const Plan& plan) noexcept {
  const Options& o = l.options;
  if (o.explain != Explain::no) return print_plan(l, plan);
  if (o.verbosity > 0) print_before_launch(l, plan);
  silence(l.machine, o.quietness);
  kernel::Narrating narrator(l.machine,
                             [](std::string_view line) { cli::say(standard_error, line); });
  StepTiming timing(l.machine, [&](auto nanoseconds) { print_times(plan, nanoseconds); });
  LaunchKernel k = o.verbosity > 1 ? LaunchKernel(narrator) : LaunchKernel(l.machine);
  if (o.time_steps) k.watch(timing);
  k.listen(l);
  return launch(k, l, plan);
}

int run(Launch& l) noexcept {
  l.facts = probe(l.k, l.envp);
  if (l.options.assembly) l.facts.assembly = *l.options.assembly;
  if (const int status = describe(l); status != 0) {
    l.messages().error(l.problem.view());
    l.messages().remedy(l.remedy);
    return status;
  }
  if (l.made.program.argv == nullptr && !choose_shell(l.made.program)) {
    l.messages().error("no command given, the image records none, and this is not a terminal");
    l.messages().remedy("say what to run: ch-run IMAGE -- COMMAND");
    return exit_usage;
  }
  const Result<Plan> plan = l.made.container.plan(l.facts, l.made.program, l.arena);
  if (!plan) return report(l, Plan{}, plan.error());
  return execute_or_print(l, *plan);
}

/// For everything whose size depends on the command line and the environment. Untouched pages cost
/// nothing, but all of it counts for `ulimit -v`; so memory that is rarely needed is requested only
/// on demand.
alignas(std::max_align_t) std::byte storage[std::size_t{6} << 20];

/// At least `size` bytes: many more, so that there are few requests, or if that fails just those.
std::span<std::byte> more_storage(std::size_t size) noexcept {
  constexpr std::size_t plenty = std::size_t{16} << 20;
  kernel::Linux k;
  for (const std::size_t wanted : {size < plenty ? plenty : size, size})
    if (const auto memory = kernel::map_memory(k, wanted); memory.ok())
      return {memory.value(), wanted};
  return {};
}

bool called_as(const char* word, std::string_view name) noexcept {
  const std::string_view path(word == nullptr ? "" : word);
  return tail(path, path.rfind('/') + 1) == name;
}

}  // namespace

// The one function that start.cpp has to find, although -fwhole-program hides everything else.
#if defined(__GNUC__) && !defined(__clang__)
[[gnu::externally_visible]]
#endif
int ch_main(int argc, char** argv, char** envp);
int ch_main(int argc, char** argv, char** envp) {
  const bool checks = argc > 0 && called_as(argv[0], "ch-checkns");
  kernel::Linux machine;
  LaunchKernel k(machine);
  if (cli::refuses_privilege(k, checks ? "ch-checkns" : "ch-run", argc, argv))
    return exit_container;
  if (checks) return check();
  Arena arena(storage, more_storage);
  Launch l(arena, envp);

  // The configuration is applied first so that the command line takes precedence; so this first
  // checks whether the configuration is wanted at all.
  const bool wanted = !mentions(argc, argv, without_configuration);
  if (const int status = wanted ? configure(l) : 0; status != 0) {
    l.messages().error(l.problem.view());
    l.messages().remedy("correct the file, or leave it out with --no-conf");
    return status;
  }
  if (const int status = configure_devices(l, argc, argv); status != 0) {
    l.messages().error(l.problem.view());
    l.messages().remedy("let ch-device write it again");
    return status;
  }
  l.options.configured_binds = l.options.binds.size();
  const UsageError problem = parse(argc, argv, arena, l.options);
  if (problem) {
    l.problem << problem.problem;
    if (!problem.subject.empty()) l.problem << ": " << problem.subject;
    l.messages().error(l.problem.view());
    l.messages().remedy(problem.remedy != nullptr ? problem.remedy : "see ch-run --help");
    return exit_usage;
  }
  const Options& o = l.options;
  if (o.help) return print_help();
  if (o.check) return check();
  if (o.feature != nullptr) return feature(o.feature, l.messages());
  if (o.usage) return print_usage();
  if (o.version) return print_version();
  if (o.device && !o.devices.empty() && o.device_file == nullptr) {
    const Errno code = resolve_devices(l.k, o, argv, l.envp, l.arena);
    l.problem << "can't start ch-device, which looks up devices: " << code;
    l.messages().error(l.problem.view());
    l.messages().remedy("install it beside ch-run; or bind what the device needs by hand");
    return exit_container;
  }
  return run(l);
}
