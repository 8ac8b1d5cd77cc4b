// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. The process outside that maps several ids: by itself, a process in a new user namespace
// can only map the one id of its creator. It asks for its maps over a socket. The process that
// started it has them written by newuidmap and newgidmap, privileged programs that know which ids
// an administrator gave to whom; root writes them itself.
// Source: man 7 user_namespaces, "Defining user and group ID mappings"; man 1 newuidmap; man 7
// unix, SCM_CREDENTIALS.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "ch/hosted/stream.hpp"
#include "ch/kernel/owned_fd.hpp"
#include "ch/launch.hpp"

namespace ch::detail {

inline constexpr const char* ids_remedy =
    "ask the administrator for subordinate ids (usermod --add-subuids 100000-165535 "
    "--add-subgids 100000-165535 USER) and the package uidmap; or do without them";

[[nodiscard]] inline Failure no_ids(std::string path, std::string cause) {
  Failure failure = failed_call(static_cast<int>(Errno::eperm), "map several ids", std::move(path));
  failure.cause = std::move(cause);
  failure.remedy = ids_remedy;
  failure.kind = Remedy::do_without_ids;
  return failure;
}

/// Is this step a map that only a process outside can write?
template <class Map>
[[nodiscard]] bool is_written_outside(const Step& step) noexcept {
  const auto* map = std::get_if<Map>(&step);
  return map != nullptr && (!map->more.empty() || map->range.count != 1);
}
[[nodiscard]] inline bool needs_id_writer(const Plan& plan) noexcept {
  for (const Step& step : plan.steps)
    if (is_written_outside<step::MapUsers>(step) || is_written_outside<step::MapGroups>(step))
      return true;
  return false;
}

/// Why `plan` can't be combined with such maps, if it can't.
[[nodiscard]] inline std::optional<Failure> unfit_for_ids(const Plan& plan) {
  if (!std::holds_alternative<step::MeetPeers>(plan.steps[0])) return std::nullopt;
  return no_ids({}, "peers of a group can't have them: each would have its own");
}

/// "0 1000 1", a word each.
template <class Map>
void add_words(std::vector<std::string>& words, const Map& map) {
  const auto add = [&words](const auto& range) {
    words.push_back(std::to_string(static_cast<unsigned>(range.inside)));
    words.push_back(std::to_string(static_cast<unsigned>(range.outside)));
    words.push_back(std::to_string(range.count));
  };
  add(map.range);
  std::string_view rest(map.more);
  while (!rest.empty()) {
    const std::string_view word = head(rest, rest.find_first_of(" ,"));
    if (!word.empty()) words.emplace_back(word);
    rest = tail(rest, word.size() + 1);
  }
}

/// Starts a program of the host and waits for it.
[[nodiscard]] inline Result<ExitStatus> run_on_host(const std::vector<std::string>& words) {
  std::vector<const char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) argv.push_back(word.c_str());
  argv.push_back(nullptr);
  const char* const path = std::getenv("PATH");
  Program program{argv[0], argv.data(), ::environ};
  if (path != nullptr) program.search_path = path;
  const auto memory = std::make_unique<ArenaOf<2 * child_stack_size>>();
  const Container<NamespaceSet<>, HostMounts, KeepIds> host;
  kernel::Linux k;
  return run(k, host, program, *memory);
}

/// Serves one child.
class IdWriter {
 public:
  /// On failure (such as EMFILE) ok() is false.
  IdWriter() noexcept {
    int ends[2];
    const int on = 1;
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return;
    ours_ = above_streams(kernel::OwnedFd(ends[0]));
    theirs_ = above_streams(kernel::OwnedFd(ends[1]));
    if (!ours_ || ::setsockopt(ours_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
      theirs_.reset();
  }
  [[nodiscard]] bool ok() const noexcept { return static_cast<bool>(theirs_); }
  /// The child must not keep this end open, or it would not notice that we have ended.
  [[nodiscard]] Fd ours() const noexcept { return ours_.kernel_fd(); }

  /// `plan`, with this object as the writer of its maps. No steps: `arena` is full.
  [[nodiscard]] Plan serving(const Plan& plan, Arena& arena) {
    Plan served = plan;
    Step* const steps = arena.make<Step>(plan.steps.size());
    if (steps == nullptr) return {};
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
      steps[i] = plan.steps[i];
      set_writer<step::MapUsers>(steps[i]);
      set_writer<step::MapGroups>(steps[i]);
    }
    served.steps = {steps, plan.steps.size()};
    return served;
  }
  /// Writes the maps of the child that executes `plan` and asks for them, until both are written or
  /// the child has ended. Returns what prevented that, if anything.
  [[nodiscard]] std::optional<Failure> serve(const Plan& plan) {
    theirs_.reset();  // so that the end of the child is noticed
    std::optional<Failure> wrong;
    for (int asked = 0; asked < 2 && !wrong; ++asked) {
      char which = 0;
      const pid_t child = next_request(which);
      if (child <= 0) break;
      for (const Step& step : plan.steps) {
        if (const auto* users = std::get_if<step::MapUsers>(&step); users && which == 'u')
          wrong = write("newuidmap", "uid_map", child, *users);
        if (const auto* groups = std::get_if<step::MapGroups>(&step); groups && which == 'g')
          wrong = write("newgidmap", "gid_map", child, *groups);
      }
      const int code = wrong ? static_cast<int>(wrong->code) : 0;
      (void)::send(ours_.get(), &code, sizeof code, MSG_NOSIGNAL);
    }
    return wrong;
  }

 private:
  template <class Map>
  void set_writer(Step& step) const noexcept {
    if (is_written_outside<Map>(step)) std::get_if<Map>(&step)->writer = theirs_.kernel_fd();
  }
  /// The pid of the process that asks, from the kernel; 0 at the end.
  [[nodiscard]] pid_t next_request(char& which) const noexcept {
    iovec part{&which, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n = 0;
    while ((n = ::recvmsg(ours_.get(), &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
    }
    const cmsghdr* const first = n > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
    if (first == nullptr || first->cmsg_type != SCM_CREDENTIALS) return 0;
    ucred who{};
    std::memcpy(&who, CMSG_DATA(first), sizeof who);
    return who.pid;
  }
  template <class Map>
  [[nodiscard]] static std::optional<Failure> write(const char* program, const char* file,
                                                    pid_t child, const Map& map) {
    if (::geteuid() == 0) return write_as_root(file, child, map);
    std::vector<std::string> words = {program, std::to_string(child)};
    add_words(words, map);
    const Result<ExitStatus> ended = run_on_host(words);
    if (!ended) {
      const Errno code = ended.error().code;
      if (!explain_limit(code, ended.error().operation).cause.empty())
        return failed_call(static_cast<int>(code), "start", program, ended.error().operation);
      Failure failure = no_ids(program, code == Errno::enoent ? "this program is not installed"
                                                              : "this program can't be started");
      failure.code = code;
      return failure;
    }
    if (*ended != ExitStatus{}) return no_ids(program, "it does not allow these ids");
    return std::nullopt;
  }
  template <class Map>
  [[nodiscard]] static std::optional<Failure> write_as_root(const char* file, pid_t child,
                                                            const Map& map) {
    const std::string path = "/proc/" + std::to_string(child) + "/" + file;
    std::vector<std::string> words;
    add_words(words, map);
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) text += words[i] + (i % 3 == 2 ? '\n' : ' ');
    const kernel::OwnedFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd && errno != EPERM && errno != EACCES)
      return failed_call(errno, "map several ids", path);
    if (fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()))
      return std::nullopt;
    return no_ids(path, "this process may not write that map");
  }

  kernel::OwnedFd ours_{};
  kernel::OwnedFd theirs_{};
};

}  // namespace ch::detail
