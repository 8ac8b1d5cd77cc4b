// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Runs the image's own ldconfig, so that its loader finds what was injected. In a
// container that holds the image, writable, and nothing else: no /dev, no /proc, no network,
// no other process; as root inside. The program is the image's, and thus a stranger's.
// Links between libraries are not its business here (-X): those that we want we make.
// Source: man 8 ldconfig; launch.hpp.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atomic>
#include <memory>

#include "ch/inject/file_copy.hpp"
#include "ch/inject/image_libraries.hpp"
#include "ch/inject/injection_plan.hpp"
#include "ch/kernel/seccomp.hpp"
#include "ch/launch.hpp"
#include "ch/plan/explain.hpp"
#include "ch/policies/mount/image_root.hpp"

namespace ch::injection {

/// Writable, root inside, and no way out.
using LdconfigBox = Container<NamespaceSet<ns::user, ns::mount, ns::pid, ns::net, ns::ipc>,
                              Mounts<ImageRoot<Fixed<Access::read_write>>>, AsRoot>;

/// The image's ldconfig, or none.
[[nodiscard]] inline std::optional<std::string> find_ldconfig(const ImageTree& tree) {
  for (const char* path : {"/sbin/ldconfig", "/usr/sbin/ldconfig", "/usr/bin/ldconfig"})
    if (const io::Descriptor fd = tree.try_open_file(path))
      if ((io::status_of(fd, path).st_mode & 0111) != 0) return path;
  return std::nullopt;
}

/// Throws io::Failed, before anything is changed, where there is no ldconfig.
inline void require_ldconfig(const ImageTree& tree, Libc libc) {
  if (find_ldconfig(tree)) return;
  const bool musl = libc == Libc::musl;
  throw io::Failed(io::printable(tree.path()),
                   musl ? "the image has musl, which knows no ldconfig; shared libraries of a "
                          "host with glibc are of no use to it"
                        : "the image has no ldconfig, and so no list of shared libraries that "
                          "could be brought up to date",
                   musl ? "use an image with glibc; or, for a library built for musl, "
                          "--no-ldconfig (its loader looks into directories itself)"
                        : "--no-ldconfig goes on without; set LD_LIBRARY_PATH in the container");
}

namespace detail {

/// The image is the working directory while this lives, so that a child of ours finds it as
/// ".". By its path it might find another one there by then; and a descriptor of ours leads
/// to a mount of this namespace, not of the child's.
class Visit {
 public:
  explicit Visit(const ImageTree& tree) : back_(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    if (!back_ || ::fchdir(tree.root().get()) != 0) io::throw_errno("go to image", tree.path());
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  ~Visit() { (void)!::fchdir(back_.get()); }

 private:
  io::Descriptor back_;
};

/// What the process that becomes ldconfig needs, prepared before it exists.
struct LdconfigStart {
  const Plan& plan;
  const char* program;
  int output;  // becomes its standard output and error
  int go;      // socket: a byte comes when it is time, the end when our process is gone
};

/// A process can be born into these only. The others it makes itself: a network takes a
/// while, in which we have other things to do.
inline constexpr std::uint64_t born_into = kernel::clone_newuser | kernel::clone_newpid;

/// Makes the container around this process.
inline Result<void> enter_container(kernel::Linux& linux_kernel, const Plan& plan) noexcept {
  const auto rest = static_cast<std::uint64_t>(LdconfigBox::namespace_set::flags()) & ~born_into;
  if (const auto done = kernel::unshare(linux_kernel, rest); !done.ok()) {
    Error error = lift(done).error();
    error.step = static_cast<StepIndex>(0);
    return failure(error);
  }
  return execute(linux_kernel, plan, Descriptors::close_at_exec, 1);
}

/// ldconfig waits for the disk, twice, and on many file systems for all that we have just
/// copied. An injection promises nothing for a power failure; so these calls succeed at once.
inline void dont_wait_for_disk(kernel::Linux& linux_kernel) noexcept {
#if defined(__x86_64__)
  constexpr std::uint32_t machine = kernel::audit_arch_x86_64;
#elif defined(__aarch64__)
  constexpr std::uint32_t machine = kernel::audit_arch_aarch64;
#else
  constexpr std::uint32_t machine = 0;  // none: the filter lets everything pass
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
  (void)kernel::install_filter(linux_kernel, filter);  // without it, it only takes longer
}

/// Becomes the container, and when it is told to, ldconfig. Its life ends with ours: nobody
/// else would undo what it does.
[[noreturn]] inline void become_ldconfig(const LdconfigStart& start) noexcept {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ::dup2(null, 0);
  ::dup2(start.output, 1);
  ::dup2(start.output, 2);
  kernel::Linux linux_kernel;
  if (const Result<void> done = enter_container(linux_kernel, start.plan); !done) {
    TextBuffer<2048> message;
    write_message(message, "ch-fromhost", done.error(), start.plan, probe_limits(linux_kernel));
    const std::string_view text = message.view();
    (void)!::write(2, text.data(), text.size());
    ::_exit(126);
  }
  dont_wait_for_disk(linux_kernel);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  char byte = 0;
  ssize_t told = 0;
  while ((told = ::read(start.go, &byte, 1)) < 0 && errno == EINTR) {
  }
  if (told != 1) ::_exit(126);
  char name[] = "ldconfig";
  char no_links[] = "-X";
  char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char locale[] = "LC_ALL=C";
  char* argv[] = {name, no_links, nullptr};
  char* envp[] = {path, locale, nullptr};
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGXFSZ}) (void)::signal(signal, SIG_DFL);
  ::execve(start.program, argv, envp);
  const std::string_view text = "it can't be executed; is its #! line or its loader missing?";
  (void)!::write(2, text.data(), text.size());
  ::_exit(126);
}

/// Waits for the end of `child`. A signal of the terminal does not reach the first process
/// of a pid namespace, so we kill it when we are asked to stop.
inline int wait_for(pid_t child, const std::atomic<bool>* stop) {
  const io::Descriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  while (handle && stop != nullptr) {
    pollfd ended{handle.get(), POLLIN, 0};
    if (::poll(&ended, 1, 100) > 0) break;
    if (stop->load()) ::kill(child, SIGKILL);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (stop != nullptr && stop->load()) throw io::Failed({}, "interrupted", {}, EINTR);
  return status;
}

}  // namespace detail

/// One run of ldconfig in the image. Its container is made by a process of its own while the
/// caller does something else.
class LdconfigRun {
 public:
  /// Throws io::Failed where there can be no container. Forks: for a process with one thread.
  explicit LdconfigRun(const ImageTree& tree) : tree_(tree) {
    const auto path = find_ldconfig(tree);
    if (!path) throw io::Failed(io::printable(tree.path()), "the image has no ldconfig");
    output_ = io::Descriptor(::memfd_create("ldconfig", MFD_CLOEXEC));
    if (!output_) io::throw_errno("make a buffer for what ldconfig prints", {});
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      io::throw_errno("make a socket to start ldconfig by", {});
    const io::Descriptor theirs(ends[0]);
    go_ = io::Descriptor(ends[1]);

    kernel::Linux linux_kernel;
    // Not on the stack, which may be as small as that.
    const auto arena = std::make_unique<ArenaOf<std::size_t{64} * 1024>>();
    LdconfigBox box;
    box.mounts.get<ImageRoot<Fixed<Access::read_write>>>().image = HostPath(".");
    const Result<Plan> plan = box.plan(probe(linux_kernel), *arena);
    if (!plan)
      throw io::Failed(io::printable(tree.path()),
                       "can't plan a container for ldconfig (" +
                           io::errno_text(static_cast<int>(plan.error().code)) + ")",
                       "--no-ldconfig goes on without it");
    // As fork, but in new namespaces from the start.
    const unsigned long flags = detail::born_into | SIGCHLD;
    const detail::LdconfigStart start{*plan, path->c_str(), output_.get(), theirs.get()};
    std::optional<detail::Visit> visit(std::in_place, tree);
    const long child = ::syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr);
    const int why_not = errno;
    if (child == 0) {
      go_.reset();
      detail::become_ldconfig(start);
    }
    visit.reset();
    if (child < 0) {
      const Error error{static_cast<Errno>(why_not), kernel::Call::clone,
                        static_cast<StepIndex>(0)};
      const Explanation why = explain(error, *plan, probe_limits(linux_kernel));
      throw io::Failed(io::printable(tree.path()),
                       "can't make a container for ldconfig (" +
                           io::errno_text(static_cast<int>(error.code)) + ")" +
                           (why.cause.empty() ? "" : ": " + std::string(why.cause)),
                       std::string(why.remedy));
    }
    child_ = static_cast<pid_t>(child);
  }
  LdconfigRun(const LdconfigRun&) = delete;
  LdconfigRun& operator=(const LdconfigRun&) = delete;
  ~LdconfigRun() {
    if (child_ == 0) return;
    ::kill(child_, SIGKILL);
    while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  /// Lets ldconfig run. Where that can't be said, the process that waits for it ends, which
  /// finish() sees.
  void start() {
    if (::send(go_.get(), "", 1, MSG_NOSIGNAL) != 1) go_.reset();
  }

  /// Waits for its end; answers what it printed, mostly complaints that mean nothing ("Can't
  /// stat ..."). Throws io::Failed where it could not run or failed, or when `stop` becomes
  /// true. Once, after start().
  std::string finish(const std::atomic<bool>* stop = nullptr) {
    const int status = detail::wait_for(std::exchange(child_, 0), stop);
    if (::lseek(output_.get(), 0, SEEK_SET) != 0) io::throw_errno("read what ldconfig printed", {});
    std::string said = io::read_all(output_.get(), "ldconfig's output");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return said;
    while (said.ends_with('\n')) said.pop_back();
    const std::string how =
        WIFEXITED(status) && WEXITSTATUS(status) != 126
            ? "ldconfig error: it exited with " + std::to_string(WEXITSTATUS(status))
            : "ldconfig error: it could not run, or was killed";
    throw io::Failed(io::printable(tree_.path()), how + (said.empty() ? "" : "; it said: " + said),
                     "look at the image's /etc/ld.so.conf; --no-ldconfig goes on without it");
  }

 private:
  const ImageTree& tree_;
  io::Descriptor output_, go_;
  pid_t child_ = 0;
};

namespace detail {

/// Are the library that the loader finds at `found` and the one at `expected`, where no name
/// is a link, the same? Mostly the first is a link beside the second.
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

/// Looks up each library that must be found now in the image's new cache. Answers what a
/// person should know: that another file is found first. Throws where one is not there.
inline std::vector<std::string> check_cache(const ImageTree& tree,
                                            const std::vector<ExpectedLibrary>& expected) {
  const auto cache = parse_loader_cache(tree.read("/etc/ld.so.cache").value_or(""));
  std::vector<std::string> warnings;
  for (const ExpectedLibrary& e : expected) {
    const auto entries =
        cache |
        ranges::views::filter([&e](const CachedLibrary& c) { return c.soname == e.soname; }) |
        ranges::to<std::vector>();
    if (entries.empty())
      throw io::Failed(
          io::printable(e.path),
          "ldconfig ran, but the image's list of libraries has no " + io::printable(e.soname),
          "check the image's /etc/ld.so.conf: is the directory in it?");
    if (ranges::none_of(entries, [&](const CachedLibrary& c) {
          return detail::leads_to(tree, c.path, e.path);
        }))
      warnings.push_back(io::printable(e.soname) + " is found at " +
                         io::printable(entries[0].path) + ", not at " + io::printable(e.path));
  }
  return warnings;
}

}  // namespace ch::injection
