// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Extraction in a container of our own: a child process whose root directory is
// the new image and nothing else, without network, with two descriptors: the archive and
// a pipe for the report. Whatever an archive makes a parser do, the child has no name for
// any file of the host. Where a host allows no user namespaces, the entry checks of the
// tree writer hold alone (unpack.hpp).
// Source: launch.hpp; man 2 fork, prctl (PR_SET_PDEATHSIG), close_range.
#pragma once

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <new>
#include <optional>

#include "ch/image/extract.hpp"
#include "ch/image/report_json.hpp"
#include "ch/launch.hpp"
#include "ch/plan/explain.hpp"
#include "ch/policies/mount/image_root.hpp"

namespace ch::images {

/// The new image, writable, and nothing else: no other mounts, no network, no shared
/// memory of others. Root inside, so that read-only directories don't stop us.
using ExtractionBox = Container<NamespaceSet<ns::user, ns::mount, ns::net, ns::ipc>,
                                Mounts<ImageRoot<Fixed<Access::read_write>>>, AsRoot>;

/// The same in a user namespace that is there already, with several ids (subids.hpp).
using ExtractionBoxOfOwners = Container<NamespaceSet<ns::mount, ns::net, ns::ipc>,
                                        Mounts<ImageRoot<Fixed<Access::read_write>>>, KeepIds>;

namespace detail {

/// An InputWatch that parent and child share.
class SharedWatch {
 public:
  SharedWatch() {
    void* memory = ::mmap(nullptr, sizeof(InputWatch), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) io::throw_errno("get memory", "");
    watch_ = ::new (memory) InputWatch();
  }
  ~SharedWatch() { ::munmap(watch_, sizeof(InputWatch)); }
  SharedWatch(const SharedWatch&) = delete;
  SharedWatch& operator=(const SharedWatch&) = delete;
  [[nodiscard]] InputWatch& get() noexcept { return *watch_; }

 private:
  InputWatch* watch_;
};

inline void send_all(int fd, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

/// Sends an answer: a line of JSON, and before it a line for each of the report's notes.
inline void send_answer(int fd, nlohmann::json& answer) {
  if (answer.contains("report")) {
    for (const nlohmann::json& note :
         std::exchange(answer["report"]["notes"], nlohmann::json::array()))
      send_all(fd, io::dump_json({{"note", note}}) + '\n');
  }
  send_all(fd, io::dump_json(answer) + '\n');
}

/// What has come of such an answer, which may be of any length, line by line. The process
/// that sends it has read a stranger's archive: it may not fill our memory either.
class AnswerReader {
 public:
  static constexpr std::size_t most = 64 * 1024 * 1024;

  /// False at the end, or if there is more than anyone honest would send.
  bool read_from(int fd) {
    const ssize_t n = ::read(fd, buffer_.data(), buffer_.size());
    if (n < 0 && errno == EINTR) return true;
    if (n <= 0 || (total_ += static_cast<std::size_t>(n)) > most) return false;
    std::string_view rest(buffer_.data(), static_cast<std::size_t>(n));
    for (std::size_t end = 0; (end = rest.find('\n')) != std::string_view::npos;) {
      line_.append(rest.substr(0, end));
      rest.remove_prefix(end + 1);
      take(std::exchange(line_, {}));
    }
    line_.append(rest);
    return true;
  }
  [[nodiscard]] bool too_long() const noexcept { return total_ > most; }
  /// The last line but notes; no object if it did not come.
  [[nodiscard]] const nlohmann::json& answer() const noexcept { return answer_; }
  [[nodiscard]] std::vector<std::string>& notes() noexcept { return notes_; }

 private:
  void take(const std::string& line) {
    nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_object() && json.contains("note") && json["note"].is_string())
      notes_.push_back(json["note"]);
    else
      answer_ = std::move(json);
  }
  std::vector<char> buffer_ = std::vector<char>(64 * 1024);
  std::size_t total_ = 0;
  std::string line_;
  std::vector<std::string> notes_;
  nlohmann::json answer_;
};

/// Becomes the container around the current directory. Returns "" or why that is impossible
/// here.
template <class Box>
std::string enter_box() {
  kernel::Linux linux_kernel;
  const auto memory = std::make_unique<ArenaOf<64 * 1024>>();  // too much for a small stack
  ArenaOf<64 * 1024>& arena = *memory;
  Box box;
  box.mounts.template get<ImageRoot<Fixed<Access::read_write>>>().image = HostPath(".");
  const HostFacts facts = probe(linux_kernel);
  const Result<Plan> plan = box.plan(facts, arena);
  if (!plan) return "the plan does not fit";
  const HostLimits limits = probe_limits(linux_kernel);
  if (const Result<void> done = execute(linux_kernel, *plan); !done) {
    const Explanation why = explain(done.error(), *plan, limits);
    if (!why.cause.empty()) return std::string(why.cause);
    char buffer[128];
    return ::strerror_r(static_cast<int>(done.error().code), buffer, sizeof buffer);
  }
  return {};
}

inline constexpr int report_fd = 4;

/// The exit status that says: a mapped page of the archive could not be had.
inline constexpr int archive_went_away = 2;
/// Another one: there was not enough memory, even for a report perhaps.
inline constexpr int memory_went_out = 3;

/// What the child does. `input` and `report` become the only descriptors. Throws
/// std::bad_alloc; what else goes wrong is in the answer.
inline nlohmann::json extract_and_answer(Input& input, int report, int tree,
                                         const UnpackOptions& options, InputWatch& watch,
                                         pid_t parent) {
  nlohmann::json answer;
  try {
    // Numbers: 3 the archive, 4 the report, from 5 on the files of a layout directory.
    // 0 to 2 stay taken, or the first file we make would become one of them.
    if (input.layout) input.layout->move_away(5);
    // The tree goes along as the current directory, since its path may lead elsewhere by
    // now if others may write its parent.
    struct stat made {
    }, entered{};
    if (::fchdir(tree) != 0 || ::fstat(tree, &made) != 0) io::throw_errno("enter", "the new image");
    const int null = ::fcntl(::open("/dev/null", O_RDWR | O_CLOEXEC), F_DUPFD_CLOEXEC, 10);
    const int out = ::fcntl(report, F_DUPFD_CLOEXEC, 10);
    const int in = ::fcntl(input.layout ? null : input.stream.get(), F_DUPFD_CLOEXEC, 10);
    if (null < 0 || in < 0 || out < 0) io::throw_errno("prepare", "descriptors");
    for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
    ::dup2(in, 3);
    ::dup2(out, report_fd);
    if (input.layout) input.layout->move_to(5);
    (void)input.stream.release();
    input.stream = io::Descriptor(3);
    const int first_unused = 5 + (input.layout ? input.layout->size() : 0);
    if (::syscall(SYS_close_range, first_unused, ~0U, 0) != 0)
      for (int fd = first_unused; fd < 4096; ++fd) ::close(fd);
    ::umask(0);
    std::string why = options.owners == Owners::mine ? enter_box<ExtractionBox>()
                                                     : enter_box<ExtractionBoxOfOwners>();
    if (!why.empty()) {
      answer["unavailable"] = why;
    } else {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(1);
      const io::Descriptor root(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!root || ::fstat(root.get(), &entered) != 0) io::throw_errno("open", "the new image");
      // Mounting by mount(2) takes a path all the same.
      if (entered.st_ino != made.st_ino || entered.st_dev != made.st_dev)
        throw io::Failed(io::Reason::refused, {},
                         "someone replaced the temporary directory while we were unpacking");
      watch.stop = options.stop;
      ::signal(SIGBUS, [](int) { ::_exit(archive_went_away); });
      answer["report"] = to_json(
          Extraction(input, root.get(), options, ModeRules{0}, watch, Reading::mapped).run());
    }
  } catch (const io::Failed& e) {
    answer = {{"error", to_json(e)}};
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    answer = {{"error", to_json(io::Failed(io::Reason::system, {}, e.what()))}};
  }
  return answer;
}

/// The child: never returns.
[[noreturn]] inline void extract_in_child(Input& input, int report, int tree,
                                          const UnpackOptions& options, InputWatch& watch,
                                          pid_t parent) noexcept {
  // nlohmann::json takes memory to free some, and where there is none ends the process.
  std::set_terminate([] { ::_exit(memory_went_out); });
  try {
    nlohmann::json answer = extract_and_answer(input, report, tree, options, watch, parent);
    send_answer(report_fd, answer);
  } catch (const std::bad_alloc&) {
    ::_exit(memory_went_out);
  } catch (...) {
    ::_exit(1);
  }
  ::_exit(0);
}

/// A child that is killed if nobody has waited for it.
class WaitedFor {
 public:
  explicit WaitedFor(pid_t child) noexcept : child_(child) {}
  ~WaitedFor() {
    if (child_ < 0) return;
    kill();
    while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  WaitedFor(const WaitedFor&) = delete;
  WaitedFor& operator=(const WaitedFor&) = delete;
  void kill() const noexcept { ::kill(child_, SIGKILL); }
  /// True once it has ended.
  bool ended(int& status) noexcept {
    if (::waitpid(child_, &status, WNOHANG) == 0) return false;
    child_ = -1;
    return true;
  }

 private:
  pid_t child_;
};

/// Does this process have one thread only? The child of fork() has a copy of every lock that
/// others held at that moment, and nobody to release it.
inline bool has_one_thread() {
  const io::Descriptor tasks(::open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return !tasks || io::names_in(tasks.get()).size() == 1;
}

/// An image, or why there is no container to make it in.
struct Extracted {
  std::optional<UnpackReport> report;
  std::string unavailable;
};

/// Extracts `input` into the empty directory `tree`, in a container. `on_wait(watch)` is called
/// ten times a second meanwhile, for a progress display. Throws io::Failed. Forks.
template <class OnWait>
Extracted extract_contained(Input& input, int tree, const UnpackOptions& options,
                            OnWait&& on_wait) {
  if (!has_one_thread()) return {{}, "this process has other threads"};
  SharedWatch shared;
  InputWatch& watch = shared.get();
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) io::throw_errno("make", "a pipe");
  io::Descriptor from_child(ends[0]);
  io::Descriptor to_parent(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) io::throw_errno("start", "a process to extract in");
  if (child == 0) extract_in_child(input, to_parent.get(), tree, options, watch, parent);
  WaitedFor extracting(child);
  to_parent.reset();

  // Until the child has ended, however it behaves: a signal can end it at any time.
  AnswerReader reader;
  bool stopped = false;
  int status = 0;
  for (;;) {
    if (options.stop != nullptr && options.stop->load() && !std::exchange(stopped, true))
      extracting.kill();
    pollfd ready{from_child.get(), POLLIN, 0};  // -1 is passed over, which leaves the wait
    if (::poll(&ready, 1, from_child ? 100 : 2) > 0) {
      if (reader.read_from(from_child.get())) continue;
      if (reader.too_long()) extracting.kill();
      from_child.reset();
    }
    on_wait(watch);
    if (!from_child && extracting.ended(status)) break;
  }
  if (stopped) throw io::Failed(io::Reason::interrupted, {}, "interrupted");
  if (WIFEXITED(status) && WEXITSTATUS(status) == archive_went_away) throw_archive_changed();
  if (WIFEXITED(status) && WEXITSTATUS(status) == memory_went_out) throw io::out_of_memory();
  if (reader.too_long())
    throw io::Failed(io::Reason::hostile, {}, "the process that extracts sent nonsense");
  const nlohmann::json& answer = reader.answer();
  if (!answer.is_object())
    throw io::Failed(io::Reason::system, {},
                     "the process that extracts died" +
                         (WIFSIGNALED(status) ? " of signal " + std::to_string(WTERMSIG(status))
                                              : std::string()) +
                         " without a report",
                     "if it was killed for want of memory (dmesg), allow more");
  if (answer.contains("error")) throw error_from_json(answer.at("error"));
  if (answer.contains("unavailable")) return {{}, answer.at("unavailable")};
  UnpackReport report = report_from_json(answer.at("report"));
  report.notes = std::move(reader.notes());
  if (report.stripped_directory.find('/') != std::string::npos)
    throw io::Failed(io::Reason::system, {}, "the process that extracts sent nonsense");
  return {std::move(report), {}};
}

}  // namespace detail

}  // namespace ch::images
