// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. Starts a program in a container, from any thread of any program: the child borrows the
// memory of this process until the program starts, rather than copying it (launch.hpp), so
// everything that allocates is done before.
#pragma once

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "ch/hosted/child.hpp"
#include "ch/hosted/id_writer.hpp"
#include "ch/hosted/integrated_box.hpp"

namespace ch {
namespace detail {

/// Converts what is accepted as a box into one: an image alone stands for host_integrated.
template <class B>
[[nodiscard]] decltype(auto) as_box(const B& box) {
  static_assert(Plannable<B> || std::same_as<B, Image>,
                "Charlie: the first argument is a container: write ch::image(PATH), or pass what "
                "ch::compose or ch::host_integrated has made.");
  if constexpr (Plannable<B>)
    return (box);
  else if constexpr (std::same_as<B, Image>)
    return HostIntegratedBox(box);
  else
    return HostIntegratedBox(Image());  // only so that nothing else is reported
}

/// The descriptor that a step uses, or none.
[[nodiscard]] inline Fd descriptor_used_by(const Step& step) noexcept {
  if (const auto* put = std::get_if<step::Redirect>(&step)) return put->from;
  if (const auto* join = std::get_if<step::JoinNamespaces>(&step)) return join->held;
  if (const auto* image = std::get_if<step::OpenImage>(&step)) return image->directory;
  if (const auto* users = std::get_if<step::MapUsers>(&step)) return users->writer;
  if (const auto* groups = std::get_if<step::MapGroups>(&step)) return groups->writer;
  return Fd::none;
}
[[nodiscard]] inline bool needs(const Plan& plan, Fd fd) noexcept {
  for (const Step& step : plan.steps) {
    if (descriptor_used_by(step) == fd) return true;
    if (const auto* closes = std::get_if<step::CloseDescriptors>(&step))
      for (const int kept : closes->keep)
        if (Fd{kept} == fd) return true;
  }
  return false;
}

/// Calls `visit` with the number of each open descriptor; false if /proc does not list them.
/// Allocates nothing. Source: man 2 getdents64.
template <class Visit>
[[nodiscard]] bool for_each_descriptor(Visit visit) noexcept {
  const int list = ::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (list == -1) return false;
  constexpr std::size_t record_length_at = 16, name_at = 19;  // in struct linux_dirent64
  alignas(8) char entries[2048];
  long size = 0;
  while ((size = ::syscall(SYS_getdents64, list, entries, sizeof entries)) > 0)
    for (const char* entry = entries; entry < entries + size;) {
      std::uint16_t length = 0;
      std::memcpy(&length, entry + record_length_at, sizeof length);
      const char* name = entry + name_at;
      int number = 0;
      for (; *name >= '0' && *name <= '9'; ++name) number = number * 10 + (*name - '0');
      if (*name == '\0' && number != list) visit(number);
      entry += length;
    }
  (void)::close(list);
  return size == 0;
}

/// In a copy of this process: closes what is marked close-on-exec, as execve would: among those are
/// ends of other threads' pipes, whose readers would otherwise wait for this process. Leaves open
/// `kept` and what `plan` needs.
inline void close_as_exec(kernel::Linux& k, const Plan& plan, Fd kept) noexcept {
  const auto close_marked = [&](int number) {
    const Fd fd{number};
    const auto marked = kernel::closes_at_exec(k, fd);
    if (number > 2 && marked.ok() && marked.value() && fd != kept && !needs(plan, fd))
      (void)kernel::close(k, fd);
  };
  if (for_each_descriptor(close_marked)) return;
  // Without /proc, each number that a process may have by default or by its limit is tried.
  constexpr int rlimit_nofile = 7;
  kernel::RLimit open_files;
  int end = 65536;
  if (kernel::getrlimit(k, rlimit_nofile, open_files).ok() && open_files.hard > 65536)
    end = static_cast<int>(std::min<std::uint64_t>(open_files.hard, 1U << 20));
  for (int number = 3; number < end; ++number) close_marked(number);
}

/// In a copy of this process: executes the steps of `plan`; if one fails, reports that and exits.
[[noreturn]] inline void run_peer(kernel::Linux& k, const Plan& plan, const Execution& execution,
                                  Fd report) noexcept {
  close_as_exec(k, plan, report);
  const Error error = execute(k, plan, execution, Descriptors::close_at_exec).error();
  PeerReport told;
  told.error = error;
  told.in_program = failed_to_execute(error, plan);
  const auto index = static_cast<std::size_t>(error.step);
  TextWriter attempted(told.attempted, sizeof told.attempted);
  attempted << (index < plan.steps.size() ? attempt_of(plan.steps[index]) : "make the container");
  const Explanation known = explain(error, plan, probe_limits(k));
  told.kind = known.kind;
  TextWriter texts(told.texts, sizeof told.texts);
  write_path(texts, error, plan) << '\0' << known.cause << '\0' << known.remedy << '\0';
  (void)kernel::write(k, report, &told, sizeof told);
  kernel::exit_group(k, 127);
}

/// Starts a member of a peer group: a copy of this process (fork), since it has to wait for others,
/// and this thread may have to start those, too.
[[nodiscard]] inline Outcome<Pid> spawn_peer(const Plan& plan, Arena& arena, Handles& handles) {
  const Result<Execution> execution = prepare(plan, arena);
  if (!execution) return explain_failure(execution.error(), plan);
  kernel::Linux k;
  Pipe pipe = make_pipe();
  if (!pipe.to) return failed_call(errno, "make a pipe");
  handles.report = std::move(pipe.from);
  CallerSignals signals;
  signals.block(k);
  Fd pidfd = Fd::none;
  const auto peer = kernel::fork(k, 0, &pidfd);
  if (peer.ok() && peer.value() == Pid::none) {
    reset_handlers(k);
    (void)kernel::sigprocmask(k, kernel::sig_setmask, &signals.mask, nullptr);
    run_peer(k, plan, *execution, pipe.to.kernel_fd());
  }
  (void)kernel::sigprocmask(k, kernel::sig_setmask, &signals.mask, nullptr);
  pipe.to.reset();
  if (!peer.ok())
    return failed_call(static_cast<int>(peer.error()), "start a process", {}, peer.call);
  handles.pidfd = kernel::OwnedFd(static_cast<int>(pidfd));
  return peer.value();
}

/// Explains why `plan` was not started. clone also makes the namespaces, but it is the process that
/// a limit is about.
[[nodiscard]] inline Failure explain_start(const Error& error, const Plan& plan) {
  Failure failure = explain_failure(error, plan);
  const bool clones =
      error.operation == kernel::Call::clone || error.operation == kernel::Call::clone3;
  const bool is_outside = error.step == StepIndex::none && error.operation != kernel::Call::none;
  if (is_outside || (clones && !explain_limit(error.code, error.operation).cause.empty()))
    failure.attempted = "start a process";
  return failure;
}

/// Starts a plan whose id maps have to be written from outside: in a copy of this process (fork),
/// which waits until this one has had them written.
[[nodiscard]] inline Outcome<Child> start_mapped(const Plan& plan, Arena& arena, Handles handles) {
  if (std::optional<Failure> wrong = unfit_for_ids(plan)) return *std::move(wrong);
  IdWriter writer;
  if (!writer.ok()) return failed_call(errno, "make a pair of sockets");
  const Plan served = writer.serving(plan, arena);
  if (served.steps.empty()) return failed_call(ENOMEM, "plan the container");
  kernel::Linux k;
  std::optional<Failure> wrong;
  if (needs_init(plan)) {
    const Result<Execution> execution = prepare(served, arena);
    if (!execution) return explain_failure(execution.error(), plan);
    Fd pidfd = Fd::none;
    const Result<StartedProcess> init = spawn_init(
        k, served, *execution, &pidfd, [&] { wrong = writer.serve(served); }, writer.ours());
    handles.pidfd = kernel::OwnedFd(static_cast<int>(pidfd));
    if (!init) return wrong ? *std::move(wrong) : explain_start(init.error(), plan);
    return make_child(init->pid, std::move(handles));
  }
  const Outcome<Pid> copy = spawn_peer(served, arena, handles);
  if (!copy) return copy.error();
  const kernel::OwnedFd report = std::move(handles.report);
  Child child = make_child(*copy, std::move(handles));
  wrong = writer.serve(served);
  const std::optional<Failure> reported = read_report(report.get());
  if (wrong) return *std::move(wrong);
  if (reported) return *reported;
  return child;
}

/// Starts `plan`; the Child gets `handles`.
[[nodiscard]] inline Outcome<Child> start(const Plan& plan, Arena& arena, Handles handles) {
  kernel::Linux k;
  if (needs_id_writer(plan)) return start_mapped(plan, arena, std::move(handles));
  if (std::holds_alternative<step::MeetPeers>(plan.steps[0])) {
    const Outcome<Pid> peer = spawn_peer(plan, arena, handles);
    if (!peer) return peer.error();
    return make_child(*peer, std::move(handles));
  }
  Fd pidfd = Fd::none;
  const Result<StartedProcess> started = detail::spawn(k, plan, arena, &pidfd);
  if (!started) {
    if (pidfd != Fd::none) (void)kernel::close(k, pidfd);
    return explain_start(started.error(), plan);
  }
  if (pidfd == Fd::none)  // clone3 is refused here; the pid stays valid until we reap it
    if (const auto opened = kernel::pidfd_open(k, started->pid); opened.ok())
      pidfd = opened.value();
  handles.pidfd = kernel::OwnedFd(static_cast<int>(pidfd));
  return make_child(started->pid, std::move(handles));
}

/// Plans `command` in `box` with `streams`, and hands the plan to `use`.
template <class B, class Use>
auto with_program_plan(const B& box, const Command& command, const Options& options,
                       std::span<const step::Redirect> streams, Use use)
    -> decltype(use(std::declval<const Plan&>(), std::declval<Arena&>())) {
  const auto has_nul = [](const std::string& text) { return text.find('\0') != text.npos; };
  bool cut = options.directory.has_nul();
  for (const std::string& word : command.words()) cut = cut || has_nul(word);
  if (cut) return embedded_nul("pass the command and its directory");
  const std::vector<const char*> argv = command.argv();
  const std::vector<InnerEdit> edits = edits_of(options);
  const Request request{argv.empty() ? nullptr : argv.data(),
                        begin_environment(options.inherit),
                        edits,
                        ImagePath(options.directory.c_str()),
                        streams,
                        options.descriptors};
  return with_plan(as_box(box), request, use);
}

}  // namespace detail

/// Starts `command` in `box`, which compose or host_integrated made, or an image, which stands
/// for host_integrated(image).
///
/// Allocates only before the program's process exists. Errors: a Failure with the step that failed,
/// its cause and its remedy, as ch-run prints them; nothing is left running. Returns when the
/// program has started. For a member of a peer group it returns earlier, since the same thread may
/// have to start the others; wait() reports the failures of those.
///
///     const auto child = ch::spawn(ch::image("/img"), {"post", input});
template <class B>
[[nodiscard]] Outcome<Child> spawn(const B& box, const Command& command,
                                   const Options& options = {}) {
  Outcome<detail::OpenStreams> streams = detail::open_streams(options.in, options.out, options.err);
  if (!streams) return streams.error();
  detail::Handles handles;
  for (std::size_t place = 0; place < 3; ++place)
    handles.streams[place] = std::move(streams->each[place].outside);
  return detail::with_program_plan(box, command, options, streams->redirects,
                                   [&](const Plan& plan, Arena& arena) {
                                     return detail::start(plan, arena, std::move(handles));
                                   });
}

/// Starts `command` in `box` and waits for its end. See spawn.
///
///     const auto end = ch::run(ch::image("/img"), {"lmp", "-in", "in.lj"});
///     if (!end) std::cerr << end.error() << '\n';
///     return end ? end->shell_status() : end.error().exit_status();
template <class B>
Outcome<ExitStatus> run(const B& box, const Command& command, const Options& options = {}) {
  for (const Stream* stream : {&options.in, &options.out, &options.err})
    if (stream->kind() == Stream::Kind::pipe) {
      Failure wrong = detail::failed_call(EINVAL, "run a program with a pipe");
      wrong.cause = "nobody would use its other end";
      wrong.remedy = "capture its output, or spawn it and use the child's end";
      return wrong;
    }
  Outcome<Child> child = spawn(box, command, options);
  if (!child) return child.error();
  return child->wait();
}

}  // namespace ch
