// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Runs the image's own ldconfig, so that its loader finds what was injected. In a
// container that holds the writable image and nothing else: no /dev, no /proc, no network, no other
// process; as root inside. The program is the image's, and thus untrusted. It makes no links
// between libraries (-X): we make those that we want.
// Source: man 8 ldconfig; hosted/call.hpp.
#pragma once

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <range/v3/algorithm/none_of.hpp>
#include <range/v3/range/operations.hpp>
#include <range/v3/range/primitives.hpp>
#include <range/v3/view/filter.hpp>

#include "ch/inject/image_libraries.hpp"
#include "ch/inject/injection_plan.hpp"
#include "ch/io/file.hpp"
#include "ch/kernel/seccomp.hpp"
#include "ch/run.hpp"

namespace ch::injection {

/// The image's ldconfig, or none.
[[nodiscard]] inline std::optional<std::string> find_ldconfig(const ImageTree& tree) {
  for (const char* path : {"/sbin/ldconfig", "/usr/sbin/ldconfig", "/usr/bin/ldconfig"})
    if (const io::Descriptor fd = tree.try_open_file(path))
      if ((io::status_of(fd, path).st_mode & 0111) != 0) return path;
  return std::nullopt;
}

/// Throws io::Failed if there is no ldconfig. Call before changing anything.
inline void require_ldconfig(const ImageTree& tree, Libc libc) {
  if (find_ldconfig(tree)) return;
  const bool musl = libc == Libc::musl;
  throw io::Failed(io::printable(tree.path()),
                   musl ? "the image has musl, which has no ldconfig; shared libraries of a "
                          "host with glibc are useless to it"
                        : "the image has no ldconfig to update the cache of shared libraries",
                   musl ? "use an image with glibc; or, for a library built for musl, go on "
                          "without (its loader searches directories itself)"
                        : "go on without, and set LD_LIBRARY_PATH in the container")
      .with_kind(Remedy::leave_out_ldconfig);
}

namespace detail {

/// Makes fsync and fdatasync succeed at once. ldconfig syncs twice, which on many file systems also
/// waits for everything that we have just copied; but an injection promises nothing for a power
/// failure.
inline void dont_wait_for_disk() noexcept {
#if defined(__x86_64__)
  constexpr std::uint32_t machine = kernel::audit_arch_x86_64;
#elif defined(__aarch64__)
  constexpr std::uint32_t machine = kernel::audit_arch_aarch64;
#else
  constexpr std::uint32_t machine = 0;  // none: the filter allows everything
#endif
  static constexpr kernel::BpfInstruction filter[] = {
      {kernel::bpf_ld_w_abs, 0, 0, offsetof(kernel::SeccompData, arch)},
      {kernel::bpf_jmp_jeq_k, 0, 4, machine},
      {kernel::bpf_ld_w_abs, 0, 0, offsetof(kernel::SeccompData, nr)},
      {kernel::bpf_jmp_jeq_k, 1, 0, SYS_fsync},
      {kernel::bpf_jmp_jeq_k, 0, 1, SYS_fdatasync},
      {kernel::bpf_ret_k, 0, 0, kernel::seccomp_ret_errno},
      {kernel::bpf_ret_k, 0, 0, kernel::seccomp_ret_allow},
  };
  kernel::Linux k;
  (void)kernel::install_filter(k, filter);  // without the filter it only takes longer
}

/// In the container, as the first process of its pid namespace: waits for a byte on standard input,
/// then executes ldconfig. Returns why it could not. Only the caller can undo what ldconfig does,
/// so ldconfig and its children die with the caller. While it lives it holds the socket, which
/// tells the caller when it is gone. It does not get the descriptor of the image's directory,
/// although the lock is on that: it would lead an untrusted program to the host's files.
inline std::string wait_then_exec(const std::string& program) {
  (void)std::signal(SIGXFSZ, SIG_DFL);
  dont_wait_for_disk();
  char byte = 0;
  ssize_t told = 0;
  while ((told = ::read(0, &byte, 1)) < 0 && errno == EINTR) {
  }
  if (told != 1) return "it was not started";
  const Failure failure = exec(host, {program, "-X"},
                               {.in = Stream::text(""),  // there is no /dev/null here
                                .environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"},
                                .inherit = Inherit::nothing,
                                .descriptors = {::fcntl(0, F_DUPFD, 3)}});
  return "it can't be executed (" + io::errno_text(static_cast<int>(failure.code)) +
         "); is its #! line or its loader missing?";
}

/// Why ldconfig failed; empty if it succeeded.
[[nodiscard]] inline std::string why_failed(const std::optional<ExitStatus>& end) {
  if (!end) return "it is not known how it ended";
  if (end->signal != 0) return "it was killed";
  return end->code == 0 ? "" : "it exited with " + std::to_string(end->code);
}

}  // namespace detail

/// One run of ldconfig in the image. A separate process makes its container while the caller does
/// something else.
class LdconfigRun {
 public:
  /// Throws if no process can be started. Forks.
  explicit LdconfigRun(const ImageTree& tree) : tree_(tree) {
    const auto path = find_ldconfig(tree);
    if (!path) throw io::Failed(io::printable(tree.path()), "the image has no ldconfig");
    output_ = io::Descriptor(::memfd_create("ldconfig", MFD_CLOEXEC));
    if (!output_) io::throw_errno("make a buffer for ldconfig's output", {});
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      io::throw_errno("make a socket for ldconfig", {});
    const io::Descriptor theirs(ends[0]);
    go_ = io::Descriptor(ends[1]);
    // Not ch::image(), which would also apply the image's environment.
    const auto box = compose(also<ns::net, ns::ipc, ns::pid>, as_root,
                             ImageRoot<>{HostPath(tree.path().c_str()), Access::read_write,
                                         tree.root().kernel_fd(), FoundBy::descriptor});
    const int image = tree.root().get();
    auto called = spawn_call(box, [&] { return detail::wait_then_exec(*path); },
                             {.in = Stream::descriptor(theirs.get()),
                              .out = Stream::descriptor(output_.get()),
                              .err = Stream::descriptor(output_.get()),
                              .descriptors = std::vector<int>{image}});
    if (!called) throw_no_container(called.error());
    called_.emplace(std::move(*called));
  }
  LdconfigRun(const LdconfigRun&) = delete;
  LdconfigRun& operator=(const LdconfigRun&) = delete;
  ~LdconfigRun() { end(); }

  /// Lets ldconfig run. If the byte can't be sent, kills the waiting process, which finish()
  /// reports.
  void start() {
    if (::send(go_.get(), "", 1, MSG_NOSIGNAL) != 1) (void)called_->kill(SIGKILL);
  }

  /// Waits for its end and returns what it printed, mostly harmless complaints ("Can't stat ...").
  /// Throws if it could not run or failed, or when `stop` becomes true. Call once, after start().
  std::string finish(const std::atomic<bool>* stop = nullptr) {
    constexpr std::chrono::milliseconds between_looks{100};
    while (!called_->wait_for(between_looks))
      if (stop != nullptr && stop->load()) break;
    if (stop != nullptr && stop->load()) {
      end();
      throw io::interrupted();
    }
    const Outcome<std::string> not_run = called_->get();
    wait_until_gone();
    if (::lseek(output_.get(), 0, SEEK_SET) != 0) io::throw_errno("read ldconfig's output", {});
    std::string said = io::read_all(output_.get(), "ldconfig's output");
    if (!not_run && not_run.error().part == FailedPart::container)
      throw_no_container(not_run.error());
    const std::string problem = not_run ? *not_run : detail::why_failed(called_->status());
    if (problem.empty()) return said;
    while (said.ends_with('\n')) said.pop_back();
    throw io::Failed(io::printable(tree_.path()),
                     "ldconfig error: " + problem + (said.empty() ? "" : "; it said: " + said),
                     "look at the image's /etc/ld.so.conf, or go on without ldconfig")
        .with_kind(Remedy::leave_out_ldconfig);
  }

 private:
  /// Kills it. Returns when it can no longer change the image.
  void end() {
    if (!called_) return;
    // Ends a process that has just been forked and does not yet die with its parent.
    (void)::shutdown(go_.get(), SHUT_WR);
    (void)called_->kill(SIGKILL);
    (void)called_->get();
    called_.reset();
    wait_until_gone();
  }
  /// Waits until no process has the other end of the socket.
  void wait_until_gone() const {
    char byte = 0;
    ssize_t told = 0;
    while ((told = ::recv(go_.get(), &byte, 1, 0)) > 0 || (told < 0 && errno == EINTR)) {
    }
  }
  [[noreturn]] void throw_no_container(const Failure& why) const {
    std::string cause = "can't make a container for ldconfig: can't " + why.attempted;
    if (!why.path.empty()) cause += ' ' + io::printable(why.path);
    if (why.code != Errno::none) cause += ": " + io::errno_text(static_cast<int>(why.code));
    if (!why.cause.empty()) cause += "; " + why.cause;
    throw io::Failed(io::printable(tree_.path()), std::move(cause),
                     why.remedy.empty() ? "go on without ldconfig" : why.remedy)
        .with_kind(Remedy::leave_out_ldconfig);
  }

  const ImageTree& tree_;
  io::Descriptor output_, go_;
  std::optional<Called<std::string>> called_;
};

namespace detail {

/// Is the library that the loader finds at `found` the one at `expected`, a path without links?
/// Usually the former is a link beside the latter.
inline bool leads_to(const ImageTree& tree, const std::string& found, const std::string& expected) {
  if (found == expected) return true;
  const std::string directory(io::parent_of(found));
  if (directory == io::parent_of(expected))
    if (const io::Descriptor& held = tree.held_directory(directory))
      if (io::link_target(held.get(), std::string(io::base_of(found))) == io::base_of(expected))
        return true;
  return tree.locate(found) == expected;
}

}  // namespace detail

/// Looks up each expected library in the image's new cache. Returns warnings for those where
/// another file is found first. Throws if one is missing.
inline std::vector<std::string> check_cache(const ImageTree& tree,
                                            const std::vector<ExpectedLibrary>& expected) {
  const auto cache = parse_loader_cache(tree.read("/etc/ld.so.cache").value_or(""));
  std::vector<std::string> warnings;
  for (const ExpectedLibrary& e : expected) {
    auto entries = cache | ranges::views::filter(
                               [&e](const CachedLibrary& c) { return c.soname == e.soname; });
    if (ranges::empty(entries))
      throw io::Failed(
          io::printable(e.path),
          "ldconfig ran, but the cache of the image's loader has no " + io::printable(e.soname),
          "check that the image's /etc/ld.so.conf has the directory");
    if (ranges::none_of(entries, [&](const CachedLibrary& c) {
          return detail::leads_to(tree, c.path, e.path);
        }))
      warnings.push_back(io::printable(e.soname) + " is found at " +
                         io::printable(ranges::front(entries).path) + ", not at " +
                         io::printable(e.path));
  }
  return warnings;
}

}  // namespace ch::injection
