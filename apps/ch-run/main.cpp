// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. ch-run IMAGE -- COMMAND: parse, choose a configuration, become it, execute.
// Runs without libc (freestanding/start.cpp): everything here and below is launch path.

#include "apps/ch-run/options.hpp"
#include "ch/cli/help.hpp"
#include "ch/cli/output.hpp"
#include "ch/environment.hpp"
#include "ch/kernel/narrating.hpp"
#include "ch/launch.hpp"
#include "ch/plan/account.hpp"
#include "ch/plan/explain.hpp"
#include "ch/plan/print_json.hpp"
#include "ch/plan/print_shell.hpp"
#include "ch/plan/print_text.hpp"
#include "ch/presets.hpp"
#include "ch/version.hpp"

namespace {

using namespace ch;
using cli::Output;
using cli::say;
using cli::standard_error;
using cli::standard_output;

constexpr int exit_container = 31;  // the container could not be made
constexpr int exit_command = 49;    // it was made, but the command could not be started
constexpr int exit_usage = 64;      // as EX_USAGE of sysexits.h

void print_help() noexcept {
  Output out(standard_output);
  out("Usage: ch-run [OPTION...] IMAGE -- COMMAND [ARG...]\n\n"
      "Run COMMAND in a container whose root is the directory IMAGE. The container has\n"
      "its own user and mount namespaces; devices, network, processes, /tmp and your\n"
      "home directory are the host's. No privilege is needed, and none is gained.\n");
  cli::print_options(ch_run::table, out);
  out("\nExamples:\n"
      "  ch-run /data/hello -- echo hello\n"
      "  ch-run -b /data/in:/mnt/in:ro -b /scratch /data/hello -- ./solve /mnt/in\n"
      "  ch-run --explain=shell /data/hello -- true > box.sh   # the same, to study\n"
      "\nThe exit status is that of the command; 31 if the container could not be made,\n"
      "49 if the command could not be started, 64 for a wrong command line.\n");
}

int usage_error(const ch_run::UsageError& error) noexcept {
  Output out(standard_error);
  out("ch-run: error: ");
  out(error.problem);
  if (!error.subject.empty()) {
    out(": ");
    out(error.subject);
  }
  out("\nch-run: remedy: see ch-run --help\n");
  return exit_usage;
}

/// The environment inside: the caller's, with what must differ. PATH has /bin, because
/// images with a merged /usr are not the only ones; HOME is where home is mounted.
void adjust(Environment& environment, ZString home, Arena& arena) noexcept {
  environment.set("HOME", home);
  environment.unset("TMPDIR");  // names a host directory
  environment.set("CH_RUNNING", "Weird Al Yankovic");
  const char* path = environment.get("PATH");
  if (path == nullptr) {
    environment.set("PATH", "/usr/local/bin:/usr/bin:/bin");
    return;
  }
  for (std::string_view rest(path);;) {
    const auto colon = rest.find(':');
    if (head(rest, colon) == "/bin") return;
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  if (const char* longer = arena.join(path, ":/bin")) environment.set("PATH", longer);
}

/// Fills in the container's description from the options and the machine.
void describe(const ch_run::Options& o, const HostFacts& facts, Environment& environment,
              Arena& arena, presets::HostIntegrated& container) noexcept {
  kernel::Linux k;
  container.ids = {o.uid.value_or(facts.uid), o.gid.value_or(facts.gid)};
  container.directory = o.directory;
  container.mounts.get<ImageRoot<>>() = {o.image, o.image_access};
  container.mounts.get<Tmp<>>() = {o.tmp};
  container.mounts.get<UserBinds>() = {o.binds.span()};

  const auto host_uid = static_cast<std::uint32_t>(facts.uid);
  const auto inner_uid = static_cast<std::uint32_t>(container.ids.chosen_uid);
  const auto inner_gid = static_cast<std::uint32_t>(container.ids.chosen_gid);
  const Account owner = find_account(k, arena, host_uid);
  const Account inner = inner_uid == host_uid ? owner : find_account(k, arena, inner_uid);
  const Account group = find_account(k, arena, inner_gid, "/etc/group");

  ZString home("/");
  if (o.home) {
    const char* variable = environment.get("HOME");
    const ZString source = variable != nullptr && variable[0] == '/' ? variable : owner.home;
    TextBuffer<24> number;
    number << "user" << static_cast<unsigned>(facts.uid);
    const char* made_up = arena.join(number.view());
    const ZString user = !owner.name.empty() || made_up == nullptr ? owner.name : made_up;
    const char* inside = arena.join("/home/", user);
    if (!source.empty() && !user.empty() && inside != nullptr) {
      container.mounts.get<Home>() = {HostPath(source), user};
      home = inside;
    }
  }
  container.mounts.get<Accounts>() = {inner.name, group.name, home};
  adjust(environment, home, arena);
}

template <kernel::Kernel K>
int execute_and_report(K& k, const Plan& plan) noexcept {
  const Result<void> done = execute(k, plan, Descriptors::close_at_exec);
  kernel::Linux linux_kernel;
  TextBuffer<16384> message;
  write_message(message, "ch-run", done.error(), plan, probe_limits(linux_kernel));
  say(standard_error, message.view());
  return failed_to_execute(done.error(), plan) ? exit_command : exit_container;
}

/// For everything whose size depends on the command line: 4 MiB of argv and as much
/// again of environment is what Linux allows at most. Pages never touched cost nothing.
alignas(std::max_align_t) std::byte storage[std::size_t{12} << 20];

}  // namespace

int ch_main(int argc, char** argv, char** envp);
int ch_main(int argc, char** argv, char** envp) {
  Arena arena(storage);
  ch_run::Options options;
  const ch_run::UsageError problem = ch_run::parse(argc, argv, arena, options);
  if (problem.problem != nullptr) return usage_error(problem);
  if (options.help) {
    print_help();
    return 0;
  }
  if (options.version) {
    Output out(standard_output);
    out("ch-run ");
    out(version);
    out("\n");
    return 0;
  }

  kernel::Linux k;
  HostFacts facts = probe(k);
  if (options.assembly) facts.assembly = *options.assembly;
  Environment environment(arena, envp);
  presets::HostIntegrated container;
  describe(options, facts, environment, arena, container);
  const char* path = environment.get("PATH");
  const Program program{options.command[0], options.command, environment.envp(),
                        path == nullptr ? "" : path};
  const Result<Plan> plan = program.envp == nullptr
                                ? failure({Errno::enomem, kernel::Call::none, StepIndex::none,
                                           "environment"})
                                : container.plan(facts, program, arena);
  if (!plan) {
    TextBuffer<1024> message;
    write_message(message, "ch-run", plan.error(), Plan{}, HostLimits{});
    say(standard_error, message.view());
    return exit_container;
  }

  if (options.explain != ch_run::Explain::no) {
    Output out(standard_output);
    if (options.explain == ch_run::Explain::json)
      print_json(*plan, out);
    else if (options.explain == ch_run::Explain::shell)
      print_shell(*plan, out, envp);
    else
      print_text(*plan, out);
    return 0;
  }
  if (options.verbosity > 0) {
    Output out(standard_error);
    print_text(*plan, out);
  }
  if (options.verbosity > 1) {
    kernel::Narrating narrator(k, [](std::string_view line) { say(standard_error, line); });
    return execute_and_report(narrator, *plan);
  }
  return execute_and_report(k, *plan);
}
