// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. ch-run IMAGE -- COMMAND: parse, choose a configuration, become it, execute.
// Runs without libc (freestanding/start.cpp): everything here and below is launch path.

#include "apps/ch-run/check.hpp"
#include "apps/ch-run/configuration.hpp"
#include "apps/ch-run/inner_environment.hpp"
#include "apps/ch-run/join.hpp"
#include "apps/ch-run/kept_descriptors.hpp"
#include "apps/ch-run/launch_kernel.hpp"
#include "apps/ch-run/messages.hpp"
#include "apps/ch-run/names.hpp"
#include "apps/ch-run/resolve_devices.hpp"
#include "ch/cli/usage.hpp"
#include "ch/init.hpp"
#include "ch/kernel/narrating.hpp"
#include "ch/plan/explain.hpp"
#include "ch/plan/print_json.hpp"
#include "ch/plan/print_shell.hpp"
#include "ch/plan/print_text.hpp"
#include "ch/plan/root_emulation.hpp"
#include "ch/plan/step_timing.hpp"
#include "ch/presets.hpp"
#include "ch/version.hpp"

namespace {

using namespace ch;
using ch_run::Messages;
using cli::Output;
using cli::say;
using cli::standard_error;
using cli::standard_output;

constexpr int exit_container = 31;  // the container could not be made
constexpr int exit_command = 49;    // it was made, but the command could not be started
constexpr int exit_usage = 64;      // as EX_USAGE of sysexits.h

constexpr const char* operands = "IMAGE -- COMMAND [ARG...]";

[[gnu::noinline]] void print_help() noexcept {
  Output out(standard_output);
  out("Usage: ch-run [OPTION...] IMAGE -- COMMAND [ARG...]\n\n"
      "Run COMMAND in a container whose root is the directory IMAGE. The container has\n"
      "its own user and mount namespaces; devices, network, processes, /tmp and your\n"
      "home directory are the host's. No privilege is needed, and none is gained.\n"
      "Without COMMAND, run the command that the image records, else a shell if this is\n"
      "a terminal.\n");
  cli::print_options(ch_run::table, out);
  out("\nExamples:\n"
      "  ch-run /data/hello -- echo hello\n"
      "  ch-run -b /data/in:/mnt/in:ro -b /scratch /data/hello -- ./solve /mnt/in\n"
      "  ch-run --set-env=OMP_NUM_THREADS=4 --unset-env='PMI*' /data/hello -- ./solve\n"
      "  ch-run -W -u0 -g0 --seccomp /data/debian -- apt-get install -y cowsay\n"
      "  mpirun -np 4 ch-run --join /data/hello -- ./solve      # one container for all\n"
      "  ch-run --explain=shell /data/hello -- true > box.sh   # the same, to study\n"
      "\nThe exit status is that of the command; 31 if the container could not be made,\n"
      "49 if the command could not be started, 64 for a wrong command line. More: man\n"
      "ch-run.\n");
}

[[gnu::noinline]] int print_usage() noexcept {
  Output out(standard_output);
  cli::print_usage("ch-run", ch_run::table, operands, out);
  return 0;
}

[[gnu::noinline]] int print_version() noexcept {
  Output out(standard_output);
  out("ch-run ");
  out(version);
  out("\n");
  return 0;
}

/// --feature NAME: 0 if we have it, 1 if not, 64 if there is no such thing.
int feature(std::string_view name, const Messages& messages) noexcept {
  for (const char* ours : {"extglob", "overlayfs", "seccomp", "tmpfs-xattrs"})
    if (name == ours) return 0;
  if (name == "squash") return 1;
  messages.error("unknown feature");
  messages.remedy("ask for extglob, overlayfs, seccomp, squash or tmpfs-xattrs");
  return exit_usage;
}

/// All that one launch works with.
struct Launch {
  Arena& arena;
  const char* const* envp;
  kernel::Linux k{};
  ch_run::Options options{};
  HostFacts facts{};
  Environment environment;
  presets::HostIntegratedChosen container{};
  TextBuffer<1024> problem{};  // what went wrong while preparing, if anything
  const char* remedy = nullptr;  // and what to do about it
  const char* configurations[2] = {};  // the files that gave options

  Launch(Arena& a, const char* const* e) noexcept : arena(a), envp(e), environment(a, e) {}
  [[nodiscard]] Messages messages() const noexcept {
    const char* no_color = environment.get("NO_COLOR");
    return {options.color, options.quietness, no_color != nullptr && no_color[0] != '\0'};
  }
  /// Options that come to nothing, since another process has made the container.
  void on_joined(const Gathering& group) const noexcept {
    if (group.theirs == group.made_of) return;
    TextBuffer<640> text;
    text << "joined the container of process " << static_cast<int>(group.creator)
         << ", which differs from what this one was asked for: ";
    write_differences(text, group.made_of, group.theirs);
    if (group.theirs.image != group.made_of.image)
      text << " (" << group.image.view() << " instead of " << options.image.text << ')';
    messages().warning(text.view());
  }
};

/// Applies the configuration files that exist. Answers 0 or the exit status, with what is
/// wrong in `l.problem`.
int configure(Launch& l) noexcept {
  const char* chosen = l.environment.get("CH_RUN_CONF");
  if (chosen != nullptr && chosen[0] == '\0') chosen = nullptr;
  for (const char* path : {ch_run::site_configuration, chosen}) {
    if (path == nullptr) continue;
    const auto text = ch_run::read_file(l.k, Fd::cwd, path, l.arena);
    if (!text) {
      // Only the file that the user names has to be there.
      if (path == ch_run::site_configuration && text.error().code == Errno::enoent) continue;
      l.problem << "can't read the configuration " << path << ": " << text.error().code;
      return exit_container;
    }
    const auto wrong = ch_run::apply_configuration(*text, l.options, l.arena);
    l.configurations[path == ch_run::site_configuration ? 0 : 1] = path;
    if (wrong.problem == nullptr) continue;
    l.problem << wrong.problem << ": " << wrong.subject << ", in " << path;
    return exit_usage;
  }
  return 0;
}

/// Applies what ch-device has written, if the command line names that. Answers as configure.
int configure_devices(Launch& l, int argc, char** argv) noexcept {
  const char* path = nullptr;
  if (!ch_run::mentions(argc, argv, {ch_run::opt_device_file}, &path) || path == nullptr) return 0;
  const auto text = ch_run::read_file(l.k, Fd::cwd, path, l.arena);
  if (!text) {
    l.problem << "can't read the device file " << path << ": " << text.error().code;
    return exit_container;
  }
  const auto wrong = ch_run::apply_devices(*text, l.options, l.arena);
  if (wrong.problem == nullptr) return 0;
  l.problem << wrong.problem << ": " << wrong.subject << ", in " << path;
  return exit_usage;
}

/// Where home is inside, and what is mounted there.
ZString describe_home(Launch& l, const Account& owner) noexcept {
  const char* variable = l.environment.get("HOME");
  const ZString source = variable != nullptr && variable[0] == '/' ? variable : owner.home;
  TextBuffer<24> number;
  number << "user" << static_cast<unsigned>(l.facts.uid);
  const char* made_up = l.arena.join(number.view());
  const ZString user = owner.name.empty() && made_up != nullptr ? made_up : owner.name;
  const char* inside = l.arena.join("/home/", user);
  if (l.options.home && source.empty())
    l.messages().warning("no home directory: HOME is not set, and your account names none");
  if (!l.options.home || source.empty() || user.empty() || inside == nullptr) return "/";
  l.container.mounts.get<Home>() = {HostPath(source), user};
  return inside;
}

/// Adds the bind of ch-ssh, which lies where this program lies.
[[gnu::noinline]] bool bind_ch_ssh(Launch& l) noexcept {
  const std::string_view self = ch_run::own_path(l.k, l.arena);
  const char* source = l.arena.join(head(self, self.rfind('/')), "/ch-ssh");
  return source != nullptr &&
         l.arena.push_back(l.options.binds, UserBind{HostPath(source), ImagePath("/usr/bin/ch-ssh"),
                                                     Access::read_only});
}

/// Reads the sources of --copy and describes what is laid over the image.
bool describe_additions(Launch& l) noexcept {
  const ch_run::Options& o = l.options;
  Sequence<UserFile> files(l.arena.make<UserFile>(o.copies.size()), o.copies.size());
  for (const ch_run::CopyOption& copy : o.copies) {
    const auto text = ch_run::read_file(l.k, Fd::cwd, copy.source.c_str(), l.arena);
    if (text && text->size() < ch_run::largest_file &&
        files.push_back({*text, copy.destination}))
      continue;
    l.problem << "can't copy " << copy.source << ": ";
    if (!text)
      l.problem << text.error().code;
    else
      l.problem << "it is larger than 2 MiB, or there is too much to copy";
    l.remedy = "--copy takes a small file of the host that you may read; --bind shows any other";
    return false;
  }
  l.container.mounts.get<Additions>() = {o.links.span(), files.span()};
  return true;
}

/// Fills in the container's description from options, image and machine. False:
/// `l.problem` says what is wrong.
bool describe(Launch& l, const ch_run::ImageMetadata& metadata) noexcept {
  const ch_run::Options& o = l.options;
  auto& c = l.container;
  c.ids = {o.uid.value_or(l.facts.uid), o.gid.value_or(l.facts.gid)};
  c.namespaces.more = o.namespaces;
  c.hostname = o.hostname;
  c.directory = o.directory;
  const bool elsewhere = !metadata.directory.empty() && metadata.directory != ZString("/");
  if (o.directory.empty() && elsewhere) {
    c.directory = ImagePath(metadata.directory);
    c.if_directory_missing = IfMissing::skip;  // nobody has asked for it just now
  }
  if (o.ch_ssh && !bind_ch_ssh(l)) {
    l.problem << "can't find out where ch-ssh is";
    l.remedy = "it lies beside ch-run, which /proc/self/exe must show";
    return false;
  }
  if (!describe_additions(l)) return false;
  l.remedy = o.join.pid != Pid::none
                 ? "name a process that is in a container of yours"
                 : "start it by mpirun or srun, or say how many there are with --join-ct";
  if (!ch_run::choose_join(l.k, o.join, l.environment, l.arena, c.join, l.problem)) return false;
  c.mounts.get<ImageRoot<>>() = {o.image, o.image_access};
  c.mounts.get<WritableLayer>() = {o.overlay, o.overlay_directory, o.overlay_size};
  c.mounts.get<Tmp<>>() = {o.tmp};
  c.mounts.get<UserBinds>() = {o.binds.span()};

  const auto host_uid = static_cast<std::uint32_t>(l.facts.uid);
  const auto inner_uid = static_cast<std::uint32_t>(c.ids.chosen_uid);
  const auto inner_gid = static_cast<std::uint32_t>(c.ids.chosen_gid);
  Account owner;
  if (o.home || (o.passwd && inner_uid == host_uid))
    owner = ch_run::look_up(l.k, "passwd", host_uid, l.arena);
  const ZString home = describe_home(l, owner);
  if (o.passwd) {
    const Account inner =
        inner_uid == host_uid ? owner : find_account(l.k, l.arena, inner_uid);
    const Account group = o.gid && *o.gid != l.facts.gid
                              ? find_account(l.k, l.arena, inner_gid, "/etc/group")
                              : ch_run::look_up(l.k, "group", inner_gid, l.arena);
    c.mounts.get<Accounts>() = {inner.name, group.name, home};
  } else {
    c.mounts.get<Accounts>().kind = AccountsKind::of_image;
  }
  l.remedy = "--set-env takes NAME=VALUE, or a file of the host with such lines";
  return ch_run::prepare_environment(l.k, o, metadata, home, l.environment, l.arena, l.problem);
}

/// The words to execute: the user's, else the image's, else a shell for someone at a
/// terminal. Null: there is nothing to run.
const char* const* command_of(Launch& l, const ch_run::ImageMetadata& metadata) noexcept {
  if (l.options.command_words > 0) return l.options.command;
  if (const auto* recorded = ch_run::image_command(metadata, l.arena)) return recorded;
  static constexpr const char* shell[] = {"/bin/sh", nullptr};
  return ch_run::is_terminal(static_cast<Fd>(0)) ? shell : nullptr;
}

int report(const Launch& l, const Plan& plan, const Error& error) noexcept {
  kernel::Linux k;
  TextBuffer<16384> message;
  write_message(message, "ch-run", error, plan, probe_limits(k));
  l.messages().labelled(message.view());
  return failed_to_execute(error, plan) ? exit_command : exit_container;
}

/// Prints microseconds and steps, one line each, to standard error.
void print_times(const Plan& plan, std::span<const std::uint64_t> nanoseconds) noexcept {
  Output out(standard_error);
  std::size_t i = 0;
  std::uint64_t total = 0;
  const auto line = [&](std::uint64_t ns, std::string_view what) {
    TextBuffer<32> number;
    number << ns / 1000 << '.' << ns / 100 % 10;
    for (std::size_t column = number.view().size(); column < 9; ++column) out(" ");
    out(number.view());
    out(" us  ");
    out(what);
  };
  print_text(plan, [&](std::string_view text) {
    if (i >= nanoseconds.size()) return;
    total += nanoseconds[i];
    line(nanoseconds[i++], text);
  });
  line(total, "all but the execution\n");
}

/// Becomes the container and the command; in a child where the namespaces need one.
int launch(ch_run::LaunchKernel& k, const Launch& l, const Plan& plan) noexcept {
  const auto* attach = std::get_if<AttachToPid>(&l.container.join.choice);
  if (takes_child(attach != nullptr ? attach->flags : l.container.namespaces.flags()))
    supervise_plan(k, plan, [&](const Error& error) { return report(l, plan, error); });
  return report(l, plan, execute(k, plan, Descriptors::close_at_exec).error());
}

/// Standard output, and with another -q standard error, to nowhere.
void silence(kernel::Linux& k, int quietness) noexcept {
  if (quietness < 2) return;
  const auto nowhere = kernel::openat(k, Fd::cwd, "/dev/null", kernel::o_wronly);
  if (!nowhere.ok()) return;
  (void)kernel::dup3(k, nowhere.value(), standard_output);
  if (quietness > 2) (void)kernel::dup3(k, nowhere.value(), standard_error);
}

// Functions of their own, so that the buffers they print to take no room on the stack of a
// launch that prints nothing: each page touched costs a page fault.
[[gnu::noinline]] int print_plan(const Launch& l, const Plan& plan) noexcept {
  const ch_run::Options& o = l.options;
  Output out(standard_output);
  if (o.explain == ch_run::Explain::json)
    print_json(plan, out);
  else if (o.explain == ch_run::Explain::shell)
    print_shell(plan, out, l.envp);
  else
    print_text(plan, out);
  for (const char* path : l.configurations) {
    if (path == nullptr || o.explain != ch_run::Explain::text) continue;
    out("With options from ");
    out(path);
    out("; --no-conf leaves them out.\n");
  }
  return 0;
}

[[gnu::noinline]] void say_what_comes(Launch& l, const Plan& plan) noexcept {
  Output out(standard_error);
  print_text(plan, out);
  if (l.options.verbosity <= 2) return;
  for (const char* const* v = l.environment.envp(); *v != nullptr; ++v) {
    out(*v);
    out("\n");
  }
}

int execute_or_print(Launch& l, const Plan& plan) noexcept {
  const ch_run::Options& o = l.options;
  if (o.explain != ch_run::Explain::no) return print_plan(l, plan);
  if (o.verbosity > 0) say_what_comes(l, plan);
  silence(l.k, o.quietness);
  kernel::Narrating narrator(l.k, [](std::string_view line) { say(standard_error, line); });
  StepTiming timing(l.k, [&](auto nanoseconds) { print_times(plan, nanoseconds); });
  ch_run::LaunchKernel k =
      o.verbosity > 1 ? ch_run::LaunchKernel(narrator) : ch_run::LaunchKernel(l.k);
  if (o.time_steps) k.watch(timing);
  k.listen(l);
  return launch(k, l, plan);
}

int run(Launch& l) noexcept {
  l.facts = probe(l.k, l.envp);
  if (l.options.assembly) l.facts.assembly = *l.options.assembly;
  const ch_run::ImageMetadata metadata = ch_run::read_metadata(l.k, l.options.image, l.arena);
  if (!describe(l, metadata)) {
    l.messages().error(l.problem.view());
    l.messages().remedy(l.remedy);
    return exit_container;
  }
  const char* const* command = command_of(l, metadata);
  if (command == nullptr) {
    l.messages().error("no command given, the image records none, and this is no terminal");
    l.messages().remedy("say what to run: ch-run IMAGE -- COMMAND");
    return exit_usage;
  }
  Program program{command[0], command, l.environment.envp(), {}};
  const char* path = l.environment.get("PATH");
  if (path != nullptr) program.search_path = path;
  program.keep_descriptors = ch_run::kept_descriptors(l.options, l.environment, l.arena);
  if (l.options.seccomp) program.filter = root_emulation::filter<>;
  const Error no_room{Errno::enomem, kernel::Call::none, StepIndex::none, "environment"};
  const Result<Plan> plan = program.envp == nullptr
                                ? Result<Plan>(failure(no_room))
                                : l.container.plan(l.facts, program, l.arena);
  if (!plan) return report(l, Plan{}, plan.error());
  return execute_or_print(l, *plan);
}

/// For everything whose size depends on the command line and the environment, which are
/// at most 6 MiB on Linux, and for a few files. Pages never touched cost nothing.
alignas(std::max_align_t) std::byte storage[std::size_t{32} << 20];

bool called_as(const char* word, std::string_view name) noexcept {
  const std::string_view path(word == nullptr ? "" : word);
  return tail(path, path.rfind('/') + 1) == name;
}

}  // namespace

int ch_main(int argc, char** argv, char** envp);
int ch_main(int argc, char** argv, char** envp) {
  if (argc > 0 && called_as(argv[0], "ch-checkns")) return ch_run::check();
  Arena arena(storage);
  Launch l(arena, envp);

  // The configuration comes first and the command line has the last word; so this looks
  // whether the configuration is wanted, before anything else is taken from the line.
  const bool wanted =
      !ch_run::mentions(argc, argv,
                        {ch_run::opt_no_conf, ch_run::opt_help, ch_run::opt_usage,
                         ch_run::opt_version, ch_run::opt_check, ch_run::opt_feature});
  if (const int status = wanted ? configure(l) : 0; status != 0) {
    l.messages().error(l.problem.view());
    l.messages().remedy("correct the file, or leave it out with --no-conf");
    return status;
  }
  if (const int status = configure_devices(l, argc, argv); status != 0) {
    l.messages().error(l.problem.view());
    l.messages().remedy("have ch-device write it again");
    return status;
  }
  l.options.configured_binds = l.options.binds.size();
  const ch_run::UsageError problem = ch_run::parse(argc, argv, arena, l.options);
  if (problem.problem != nullptr) {
    l.problem << problem.problem;
    if (!problem.subject.empty()) l.problem << ": " << problem.subject;
    l.messages().error(l.problem.view());
    l.messages().remedy("see ch-run --help");
    return exit_usage;
  }
  const ch_run::Options& o = l.options;
  if (o.help) return print_help(), 0;
  if (o.check) return ch_run::check();
  if (o.feature != nullptr) return feature(o.feature, l.messages());
  if (o.usage) return print_usage();
  if (o.version) return print_version();
  if (o.device && !o.devices.empty() && o.device_file == nullptr) {
    const Errno code = ch_run::resolve_devices(l.k, o, argv, l.envp, l.arena);
    l.problem << "can't start ch-device, which looks up devices: " << code;
    l.messages().error(l.problem.view());
    l.messages().remedy("install it beside ch-run; or bind what the device needs by hand");
    return exit_container;
  }
  return run(l);
}
