// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. Runs a function of this program inside a container and returns what it returns.
// The function runs in a copy of this process (fork), which has entered the container: it sees
// the image's files and this program's variables as they were; changes to memory are lost, except
// in shared mappings (man 2 mmap, MAP_SHARED). Source: man 2 fork, PR_SET_PDEATHSIG.
#pragma once

#include <algorithm>

#include "ch/hosted/returned.hpp"
#include "ch/hosted/spawn.hpp"

namespace ch {

/// How to call a function, apart from the function itself and its container.
struct CallOptions {
  Stream in{};
  Stream out{};
  Stream err{};
  /// The only descriptors it keeps besides 0, 1 and 2; if not given, all that are not
  /// close-on-exec.
  std::optional<std::vector<int>> descriptors{};
  std::size_t limit = std::size_t{64} << 20;  // in bytes, of its result; beyond that it is killed
};

namespace detail {

/// What the copy needs to know besides plan and function.
struct CopySetup {
  Execution execution;
  std::span<const step::Redirect> streams{};
  const std::vector<int>* keep_open = nullptr;  // ascending: the only ones from 3 up that stay open
  std::vector<int> kept{};                      // ascending: those that the function itself keeps
  Fd report = Fd::none;
  Pid parent{};                // as getppid gives it; none: of another pid namespace
  Fd parent_pidfd = Fd::none;  // of a parent that is a copy, too
};

/// Has the process behind this pidfd ended?
[[nodiscard]] inline bool has_ended(kernel::Linux& k, Fd pidfd) noexcept {
  kernel::PollFd process{pidfd, kernel::pollin, 0};
  const auto ready = kernel::poll(k, &process, 1, 0);
  return ready.ok() && ready.value() == 1;
}

/// Enters the container. Where something has started a thread in the copy (a sanitizer's
/// runtime, a handler of pthread_atfork), the kernel refuses to move it to another user namespace
/// (EINVAL); and only a child enters a new pid namespace. In both cases a child of the copy enters
/// instead, and the copy waits and ends as that child did. On return `setup` names the process
/// whose death must end this one.
[[nodiscard]] inline Result<void> enter_copy(kernel::Linux& k, const Plan& plan,
                                             CopySetup& setup) noexcept {
  const auto* creates = std::get_if<step::CreateNamespaces>(&plan.steps[0]);
  if (!enters_by_child(plan)) {
    const Result<void> inside = execute(k, plan, setup.execution);
    const bool moves =
        creates != nullptr || std::holds_alternative<step::JoinNamespaces>(plan.steps[0]);
    if (inside || !moves || inside.error().code != Errno::einval ||
        inside.error().step != StepIndex{0})
      return inside;
  }
  const NamespaceFlags made = creates != nullptr ? creates->flags : NamespaceFlags{};
  if (creates != nullptr && creates->enter != Fd::none)
    CHARLIE_TRY(as_result(kernel::fchdir(k, creates->enter)));
  const Pid self = kernel::getpid(k).value();
  const auto pidfd = kernel::pidfd_open(k, self);  // before Linux 5.3 there is none
  const kernel::SigAction usual;  // else, if it is ignored, the child's status would be lost
  kernel::SigAction on_child;
  (void)kernel::sigaction(k, kernel::sigchld, &usual, &on_child);
  const auto copy = kernel::fork(k, static_cast<std::uint64_t>(made));
  if (!copy.ok()) {
    Error error = as_result(copy).error();
    error.step = StepIndex{0};
    return failure(error);
  }
  if (copy.value() == Pid::none) {
    setup.parent = contains(made, ns::pid::flag) ? Pid::none : self;
    if (pidfd.ok()) setup.parent_pidfd = pidfd.value();
    (void)kernel::sigaction(k, kernel::sigchld, &on_child, nullptr);
    (void)kernel::prctl(k, pr_set_pdeathsig, sigkill);
    return execute(k, plan, setup.execution, Descriptors::close_now, creates != nullptr ? 1 : 0);
  }
  (void)kernel::prctl(k, pr_set_pdeathsig, sigkill);
  if (kernel::getppid(k).value() != setup.parent) kernel::exit_group(k, 1);
  int status = 0;
  while (kernel::wait4(k, copy.value(), status).error() == Errno::eintr) {
  }
  end_with_status(k, status);
}

/// In the copy: sets up streams and descriptors and enters the container.
[[nodiscard]] inline Result<void> become_callee(kernel::Linux& k, const Plan& plan,
                                                CopySetup& setup) noexcept {
  for (const step::Redirect& stream : setup.streams) {
    const auto placed = kernel::dup3(k, stream.from, stream.to);
    if (!placed.ok()) return as_result(kernel::Returned<void>{placed.raw, placed.call});
  }
  if (setup.keep_open == nullptr) {
    close_as_exec(k, plan, setup.report);
  } else {
    unsigned first = 3;
    for (const int fd : *setup.keep_open) {
      const auto number = static_cast<unsigned>(fd);
      if (number > first) CHARLIE_TRY(close_between(k, first, number - 1, 0));
      first = std::max(first, number + 1);
    }
    CHARLIE_TRY(close_between(k, first, ~0U, 0));
  }
  CHARLIE_TRY(enter_copy(k, plan, setup));
  // A descriptor of a host directory would lead back to the host.
  for (const Step& step : plan.steps) {
    const Fd fd = descriptor_used_by(step);
    if (fd > Fd{2} &&
        !std::binary_search(setup.kept.begin(), setup.kept.end(), static_cast<int>(fd)))
      (void)kernel::close(k, fd);
  }
  // Only now, since entering a user namespace clears it. The parent may have died before that.
  CHARLIE_TRY(as_result(kernel::prctl(k, pr_set_pdeathsig, sigkill)));
  if (kernel::getppid(k).value() != setup.parent) kernel::exit_group(k, 1);
  if (setup.parent_pidfd != Fd::none) {
    if (has_ended(k, setup.parent_pidfd)) kernel::exit_group(k, 1);
    (void)kernel::close(k, setup.parent_pidfd);
  }
  return {};
}

/// In the copy: enters the container, calls the function, sends its result, and exits without
/// running the original's destructors and exit handlers.
template <class T, class F>
[[noreturn]] void run_callee(const Plan& plan, F& function, CopySetup& setup) noexcept {
  kernel::Linux k;
  const int report = static_cast<int>(setup.report);
  const Result<void> inside = become_callee(k, plan, setup);
  if (!inside) {
    send_reply(report, ReplyKind::failure, failure_to_bytes(explain_failure(inside.error(), plan)));
    ::_exit(31);
  }
#if defined(__cpp_exceptions)
  try {
    call_and_reply<T>(report, function);
  } catch (const std::exception& thrown) {
    send_reply(report, ReplyKind::thrown, thrown.what());
  } catch (...) {
    send_reply(report, ReplyKind::thrown, "something that is not a std::exception");
  }
#else
  call_and_reply<T>(report, function);
#endif
  ::_exit(0);
}

/// What `F` returns, which is called without arguments.
template <class F>
struct ResultOf {
  static_assert(std::invocable<F&>,
                "Charlie: ch::call takes a function without parameters: a lambda that captures "
                "what it needs, as in [&] { return f(x); }.");
  using type = typename std::conditional_t<std::invocable<F&>, std::invoke_result<F&>,
                                           std::type_identity<int>>::type;
};

}  // namespace detail

/// A function that has been called in a container and may still run there: like a std::future of
/// its result, with the process that it runs in. Move-only. Destroying it kills the function.
template <class T>
class [[nodiscard]] Called {
  static_assert(Returnable<T>,
                "Charlie: a function that ch::call calls returns void, std::string or a trivially "
                "copyable type that is no pointer or view: its result comes from another process.");

 public:
  Called(Child child, kernel::OwnedFd result, std::size_t limit) noexcept
      : child_(std::move(child)), result_(std::move(result)), limit_(limit) {}

  /// Of the process; see Child.
  [[nodiscard]] int pid() const noexcept { return child_.pid(); }
  [[nodiscard]] int pidfd() const noexcept { return child_.pidfd(); }
  /// This process's ends of streams that are pipes, else -1.
  [[nodiscard]] int in() const noexcept { return child_.in(); }
  [[nodiscard]] int out() const noexcept { return child_.out(); }
  [[nodiscard]] int err() const noexcept { return child_.err(); }
  void close_in() noexcept { child_.close_in(); }
  /// With a pid namespace only SIGKILL reaches the function; others reach the process that waits
  /// for it.
  bool kill(int signal) noexcept { return child_.kill(signal); }
  /// Becomes readable when a result arrives or the function ends: for poll and the like, then
  /// wait_for({}). -1 once the whole result has been read.
  [[nodiscard]] int result_fd() const noexcept { return result_.get(); }

  /// Waits at most `time`: has the function ended? Reads its result meanwhile, however long.
  [[nodiscard]] bool wait_for(Duration time) {
    const detail::Deadline deadline(time);
    while (!end_) {
      const int left_ms = deadline.left_ms();
      pollfd coming{result_.get(), POLLIN, 0};
      if (result_ && ::poll(&coming, 1, left_ms) > 0) {
        take_in();
      } else if (!result_) {
        const auto ended = child_.wait_for(deadline.left());
        if (!ended)
          end_ = ended.error();
        else if (*ended)
          end_ = **ended;
      }
      if (left_ms == 0) break;
    }
    return end_.has_value();
  }
  /// Waits for the function and returns its result, or why there is none: the container could not
  /// be made, or the function threw or died. Closes its input first if that is a pipe.
  [[nodiscard]] Outcome<T> get() {
    child_.close_in();
    while (!end_) {
      if (result_)
        take_in();
      else
        end_ = child_.wait();
    }
    if (is_too_long()) {
      Failure failure = detail::failed_call(0, "call a function in the container");
      failure.part = FailedPart::program;
      failure.cause = "its result has more than " + std::to_string(limit_) + " bytes";
      failure.remedy = "allow more (CallOptions::limit), or return less";
      return failure;
    }
    return detail::parse_reply<T>(reply_, *end_);
  }
  /// How its process ended, once it has: with 0 if the function returned or threw, 31 if there was
  /// no container, or however the function ended the process.
  [[nodiscard]] std::optional<ExitStatus> status() const noexcept {
    return end_ && *end_ ? std::optional<ExitStatus>(**end_) : std::nullopt;
  }

 private:
  void take_in() {
    if (detail::read_some(result_.get(), reply_) && !is_too_long()) return;
    if (is_too_long()) (void)child_.kill(SIGKILL);
    result_.reset();
  }
  /// Of a result: failures and exceptions are short and must arrive whole.
  [[nodiscard]] bool is_too_long() const noexcept {
    return !reply_.empty() && reply_[0] == static_cast<char>(detail::ReplyKind::result) &&
           reply_.size() - 1 > limit_;
  }

  Child child_;
  kernel::OwnedFd result_;
  std::size_t limit_;
  std::string reply_{};
  std::optional<Outcome<ExitStatus>> end_{};
};

namespace detail {

/// All descriptors above 2 that stay open in a copy that keeps those in `named`.
[[nodiscard]] inline std::vector<int> descriptors_to_keep(const Plan& plan,
                                                          const std::vector<int>& named,
                                                          Fd report) {
  std::vector<int> all = named;
  all.push_back(static_cast<int>(report));
  for (const Step& step : plan.steps) all.push_back(static_cast<int>(descriptor_used_by(step)));
  std::sort(all.begin(), all.end());
  all.erase(all.begin(), std::find_if(all.begin(), all.end(), [](int fd) { return fd > 2; }));
  return all;
}

/// Can clone(2) make all the namespaces of `plan`? It can't make time namespaces.
[[nodiscard]] inline bool clone_makes_all(const Plan& plan) noexcept {
  const auto* creates = std::get_if<step::CreateNamespaces>(&plan.steps[0]);
  return creates != nullptr && !contains(creates->flags, ns::time::flag);
}

/// Calls `function` in a copy of this process, in the container of `plan`.
template <class T, class F>
[[nodiscard]] Outcome<Called<T>> start_call(const Plan& planned, Arena& arena, F& function,
                                            const CallOptions& options, OpenStreams streams) {
  Plan plan = planned;
  if (enters_by_child(plan) && !clone_makes_all(plan)) {
    Failure wrong = failed_call(EINVAL, "call a function in the container");
    wrong.cause = "a time namespace, and the pid namespace of others, are entered by programs only";
    wrong.remedy = "leave those out, or run a program";
    return wrong;
  }
  std::optional<IdWriter> writer;
  if (needs_id_writer(planned)) {
    if (std::optional<Failure> wrong = unfit_for_ids(plan)) return *std::move(wrong);
    writer.emplace();
    if (!writer->ok()) return failed_call(errno, "make a pair of sockets");
    plan = writer->serving(planned, arena);
    if (plan.steps.empty()) return failed_call(ENOMEM, "plan the container");
  }
  Pipe pipe = make_pipe();
  if (!pipe.to) return failed_call(errno, "make a pipe");
  const Result<Execution> execution = prepare(plan, arena);
  if (!execution) return explain_failure(execution.error(), plan);
  CopySetup setup{
      .execution = *execution, .streams = streams.redirects, .report = pipe.to.kernel_fd()};
  std::vector<int> all;
  if (options.descriptors) {
    all = descriptors_to_keep(plan, *options.descriptors, setup.report);
    setup.keep_open = &all;
    setup.kept = *options.descriptors;
    std::sort(setup.kept.begin(), setup.kept.end());
  }
  kernel::Linux k;
  setup.parent = kernel::getpid(k).value();
  const pid_t pid = ::fork();
  if (pid < 0) return failed_call(errno, "start a process", {}, kernel::Call::clone);
  if (pid == 0) run_callee<T>(plan, function, setup);
  Handles handles;
  for (std::size_t place = 0; place < 3; ++place)
    handles.streams[place] = std::move(streams.each[place].outside);
  if (const auto pidfd = kernel::pidfd_open(k, Pid{pid}); pidfd.ok())
    handles.pidfd = kernel::OwnedFd(static_cast<int>(pidfd.value()));
  Child child = make_child(Pid{pid}, std::move(handles));
  if (writer)
    if (std::optional<Failure> wrong = writer->serve(plan)) return *std::move(wrong);
  return Called<T>(std::move(child), std::move(pipe.from), options.limit);
}

}  // namespace detail

/// Calls `function` inside `box` and returns while it runs, so that the caller can watch it, stop
/// it, or do something else.
///
/// In a program with threads, only the calling thread exists in the copy, and a lock that another
/// thread holds stays locked: use only what is safe after fork (man 2 fork); libc's allocator is.
/// The function must flush what it prints: buffers are not flushed at the end, since text pending
/// in them from before the fork is the caller's to write. An exception or a fatal signal becomes a
/// Failure that names it. The function is killed when this process, or the thread that called it,
/// ends. In a new pid namespace it is process 1. Boxes with a time namespace are refused (EINVAL).
///
///     auto sum = ch::spawn_call(ch::image("/img"), [] { return checksum("/usr"); });
///     while (sum && !sum->wait_for(100ms)) show_progress();
///     if (sum) std::cout << *sum->get();
template <class B, class F>
[[nodiscard]] auto spawn_call(const B& box, F&& function, const CallOptions& options = {})
    -> Outcome<Called<typename detail::ResultOf<F>::type>> {
  using T = typename detail::ResultOf<F>::type;
  Outcome<detail::OpenStreams> streams = detail::open_streams(options.in, options.out, options.err);
  if (!streams) return streams.error();
  Request request;
  request.environment = detail::begin_environment(Inherit::environment);
  request.program = false;
  return detail::with_plan(detail::as_box(box), request, [&](const Plan& plan, Arena& arena) {
    return detail::start_call<T>(plan, arena, function, options, std::move(*streams));
  });
}

/// Calls `function` inside `box` and returns its result. See spawn_call.
///
///     const auto box = ch::image("/img");
///     const auto has_gcc = ch::call(box, [] { return ::access("/usr/bin/gcc", X_OK) == 0; });
template <class B, class F>
[[nodiscard]] auto call(const B& box, F&& function, const CallOptions& options = {})
    -> Outcome<typename detail::ResultOf<F>::type> {
  auto called = spawn_call(box, function, options);
  if (!called) return called.error();
  return called->get();
}

}  // namespace ch
