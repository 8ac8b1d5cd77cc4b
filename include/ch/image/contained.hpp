// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Extraction in a container of our own: a function called in a copy of this process
// whose root directory is the new image and nothing else, without network, with the archive and
// a pipe for the report. Whatever a malicious archive makes a parser do, the copy can't name any
// file of the host. On a host without user namespaces, only the tree writer's checks protect it
// (unpack.hpp).
// Source: hosted/call.hpp.
#pragma once

#include <sys/mman.h>

#include <chrono>
#include <csignal>
#include <new>
#include <optional>

#include "ch/image/extract.hpp"
#include "ch/image/report_json.hpp"
#include "ch/run.hpp"

namespace ch::images {

namespace detail {

/// An object that this process shares with copies of it.
template <class T>
class Shared {
 public:
  /// Throws what man 2 mmap says.
  Shared() {
    void* memory =
        ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) io::throw_errno("map shared memory", "");
    object_ = ::new (memory) T();
  }
  ~Shared() { ::munmap(object_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  [[nodiscard]] T& get() noexcept { return *object_; }

 private:
  T* object_;
};

/// Sends an answer: a line of JSON, and before it a line for each of the report's notes.
inline void send_answer(int fd, nlohmann::json& answer) {
  if (answer.contains("report")) {
    for (const nlohmann::json& note :
         std::exchange(answer["report"]["notes"], nlohmann::json::array()))
      (void)ch::detail::write_all(fd, io::dump_json({{"note", note}}) + '\n');
  }
  (void)ch::detail::write_all(fd, io::dump_json(answer) + '\n');
}

/// Reads such an answer line by line. The process that sends it has read an untrusted archive, so
/// it must not be able to fill our memory.
class AnswerReader {
 public:
  static constexpr std::size_t most = 64 * 1024 * 1024;

  /// False at the end, or if there is more than an honest process would send.
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
  /// The last line that is not a note; null if none arrived.
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

/// Exit status: a mapped page of the archive could not be read.
inline constexpr int exit_archive_unreadable = 2;
/// Exit status: there was not enough memory, perhaps not even for a report.
inline constexpr int exit_out_of_memory = 3;

/// In the container, which is the new image: errors are part of the answer, except for lack of
/// memory (std::bad_alloc).
inline nlohmann::json extract_and_answer(const Input& input, const UnpackOptions& options,
                                         InputWatch& watch) {
  try {
    const io::Descriptor root(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root) io::throw_errno("open", "the new image");
    return {
        {"report",
         to_json(
             Extraction(input, root.get(), options, ModeRules{0}, watch, Reading::mapped).run())}};
  } catch (const io::Failed& e) {
    return {{"error", to_json(e)}};
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    return {{"error", to_json(io::Failed(io::Reason::system, {}, e.what()))}};
  }
}

/// The called function: writes the answer to its standard output.
inline void extract_in_copy(const Input& input, const UnpackOptions& options,
                            InputWatch& watch) noexcept {
  // nlohmann::json allocates to free memory; if that fails it terminates the process.
  std::set_terminate([] { ::_exit(exit_out_of_memory); });
  (void)std::signal(SIGBUS, [](int) { ::_exit(exit_archive_unreadable); });
  ::umask(0);
  watch.stop = options.stop;
  try {
    nlohmann::json answer = extract_and_answer(input, options, watch);
    send_answer(STDOUT_FILENO, answer);
  } catch (const std::bad_alloc&) {
    ::_exit(exit_out_of_memory);
  } catch (...) {
    ::_exit(1);
  }
}

[[nodiscard]] inline std::vector<int> descriptors_of(const Input& input) {
  return input.layout ? input.layout->descriptors() : std::vector<int>{input.stream.get()};
}

/// Calls that in a container that has the new image and nothing else: no other mounts, no network,
/// no shared memory. As root inside, so that read-only directories are no obstacle; with several
/// owners, in the existing user namespace (unpack_with_owners.hpp).
inline Outcome<Called<void>> start_extraction(const Input& input, int tree,
                                              const UnpackOptions& options, InputWatch& watch) {
  const auto extract = [&] { extract_in_copy(input, options, watch); };
  // If 0 to 2 were closed, the first files would get these numbers.
  CallOptions how{.in = Stream::null(), .out = Stream::pipe(), .err = Stream::null()};
  how.descriptors = descriptors_of(input);
  const Image image = ch::image(Fd{tree}, Access::read_write);
  if (options.owners == Owners::mine)
    return spawn_call(
        compose(NamespaceSet<ns::user, ns::mount, ns::net, ns::ipc>{}, image, as_root), extract,
        how);
  return spawn_call(compose(NamespaceSet<ns::mount, ns::net, ns::ipc>{}, image, KeepIds{}), extract,
                    how);
}

/// Does this process have one thread only? In the child of fork(), locks held by other threads
/// would never be released.
inline bool has_one_thread() {
  const io::Descriptor tasks(::open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return !tasks || io::names_in(tasks.get()).size() == 1;
}

/// An image, or why there is no container to make it in.
struct Extracted {
  std::optional<UnpackReport> report;
  std::string unavailable;
};

/// Returns why there is no container, if the caller may go on without one; throws for other
/// failures.
[[nodiscard]] inline Extracted not_called(const ch::Failure& failure) {
  if (failure.code == Errno::enomem) throw io::out_of_memory();
  if (failure.code == Errno::eperm) return {{}, failure.cause};
  if (failure.cause.empty())
    io::throw_errno(failure.attempted, failure.path, static_cast<int>(failure.code));
  ch::Failure told = failure;
  told.cause = "can't " + failure.attempted + ": " + failure.cause;
  throw io::Failed(std::move(told));
}

/// Why there was no container, from the failure of the call.
[[nodiscard]] inline std::string why_unavailable(const ch::Failure& failure) {
  return failure.cause.empty() ? std::strerror(static_cast<int>(failure.code)) : failure.cause;
}

/// Reads the answer of `called` until it has ended, however it behaves: a signal can end it at
/// any time. True if options.stop has stopped it.
template <class OnWait>
bool watch_extraction(Called<void>& called, AnswerReader& reader, const UnpackOptions& options,
                      OnWait&& on_wait) {
  constexpr std::chrono::milliseconds tenth_of_second(100);
  bool stopped = false;
  for (bool reading = true;;) {
    if (options.stop != nullptr && options.stop->load() && !std::exchange(stopped, true))
      called.kill(SIGKILL);
    pollfd ready{called.out(), POLLIN, 0};
    if (reading && ::poll(&ready, 1, 100) > 0) {
      if (reader.read_from(called.out())) continue;
      if (reader.too_long()) called.kill(SIGKILL);
      reading = false;
    }
    on_wait();
    if (!reading && called.wait_for(tenth_of_second)) return stopped;
  }
}

/// Extracts `input` into the empty directory `tree`, in a container. `on_wait(watch)` is called
/// ten times a second meanwhile, for a progress display. Throws io::Failed. Forks.
template <class OnWait>
Extracted extract_contained(const Input& input, int tree, const UnpackOptions& options,
                            OnWait&& on_wait) {
  if (!has_one_thread()) return {{}, "this process has other threads"};
  Shared<InputWatch> shared;
  InputWatch& watch = shared.get();
  Outcome<Called<void>> called = start_extraction(input, tree, options, watch);
  if (!called) return not_called(called.error());
  AnswerReader reader;
  const bool stopped = watch_extraction(*called, reader, options, [&] { on_wait(watch); });
  if (stopped) throw io::interrupted();
  const ExitStatus end = called->status().value_or(ExitStatus{});
  if (end == ExitStatus{exit_archive_unreadable}) throw_archive_changed();
  if (end == ExitStatus{exit_out_of_memory}) throw io::out_of_memory();
  if (reader.too_long())
    throw io::Failed(io::Reason::hostile, {}, "the extracting process sent an invalid answer");
  const nlohmann::json& answer = reader.answer();
  if (!answer.is_object()) {
    const Outcome<void> done = called->get();
    if (!done && done.error().part == FailedPart::container)
      return {{}, why_unavailable(done.error())};
    throw io::Failed(
        io::Reason::system, {},
        "the process that extracts died" +
            (end.signal != 0 ? " of signal " + std::to_string(end.signal) : std::string()) +
            " without a report",
        "if it was killed for want of memory (dmesg), allow more");
  }
  if (answer.contains("error")) throw error_from_json(answer.at("error"));
  UnpackReport report = report_from_json(answer.at("report"));
  report.notes = std::move(reader.notes());
  if (report.stripped_directory.find('/') != std::string::npos)
    throw io::Failed(io::Reason::system, {}, "the extracting process sent an invalid answer");
  return {std::move(report), {}};
}

}  // namespace detail

}  // namespace ch::images
