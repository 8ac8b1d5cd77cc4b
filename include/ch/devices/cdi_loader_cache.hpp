// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. The loader's cache of an image with a device's libraries in it, made by the
// image's own ldconfig in a container that is gone afterwards: the image, a layer in
// memory, and the libraries. What comes of it is bytes, and the links that ldconfig makes
// from sonames to files. Nothing is written to the image or to a disk.
// Source: man 8 ldconfig; man 2 memfd_create.
#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <map>

#include "ch/devices/cdi_resolve.hpp"
#include "ch/launch.hpp"
#include "ch/plan/explain.hpp"
#include "ch/policies/mount/additions.hpp"
#include "ch/policies/mount/image_root.hpp"
#include "ch/policies/mount/user_binds.hpp"
#include "ch/policies/mount/writable_layer.hpp"

namespace ch::cdi {

struct LoaderCache {
  std::string bytes;        // of etc/ld.so.cache; empty: the image has no ldconfig
  std::vector<Link> links;  // that ldconfig made
};

namespace detail {

inline std::string end_of(int status) {
  return WIFSIGNALED(status) ? std::string("was killed: ") + ::strsignal(WTERMSIG(status))
                             : "failed with status " + std::to_string(WEXITSTATUS(status));
}

inline constexpr const char* cache_folder = "/.charlie-cache";

/// A writable directory in memory, for ldconfig to write to: the image's own may be another
/// user's.
struct CacheFolder {
  static constexpr bool uses_scratch = true;
  void contribute(PlanBuilder& b, const PlanContext&) const noexcept {
    b.add(step::MakeScratchDirectory{ScratchPath("cache")});
    b.add(step::BindScratch{ScratchPath("cache"), ImagePath(cache_folder), Access::read_write,
                            IfMissing::create});
  }
};

using CacheBox = Container<
    NamespaceSet<ns::user, ns::mount>,
    Mounts<ImageRoot<Fixed<Access::read_only>>, WritableLayer, CacheFolder, Additions, UserBinds>,
    AsRoot>;

/// The links in `folder` by name.
inline std::map<std::string, std::string> links_in(const std::string& folder) {
  std::map<std::string, std::string> links;
  const io::Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return links;
  for (const std::string& name : io::names_in(fd.get(), folder)) {
    char target[4096];
    const ssize_t n = ::readlinkat(fd.get(), name.c_str(), target, sizeof target);
    if (n > 0) links[name] = std::string(target, static_cast<std::size_t>(n));
  }
  return links;
}

/// Where the image's newer CUDA compatibility library is, if it is newer than the driver's.
inline std::string compatibility_folder(const std::string& driver_version) {
  std::string folder = "/usr/local/cuda/compat";
  const io::Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || driver_version.empty()) return {};
  constexpr std::string_view prefix = "libcuda.so.";
  for (const std::string& name : io::names_in(fd.get(), folder)) {
    if (!name.starts_with(prefix) || name.find('.', prefix.size()) == name.npos) continue;
    if (std::atoi(name.c_str() + prefix.size()) > std::atoi(driver_version.c_str())) return folder;
  }
  return {};
}

/// Runs ldconfig, whose messages go to `messages`. Returns its status, as man 2 wait has it.
inline int run_ldconfig(const char* program, const std::vector<std::string>& folders,
                        int messages) {
  const std::string file = std::string(cache_folder) + "/ld.so.cache";
  std::vector<const char*> words = {"ldconfig", "-C", file.c_str()};
  for (const std::string& folder : folders) words.push_back(folder.c_str());
  words.push_back(nullptr);
  const pid_t child = ::fork();
  if (child < 0) io::throw_errno("start", "ldconfig");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(messages, 1);
    ::dup2(messages, 2);
    if (::syscall(SYS_close_range, 3, ~0U, 0) != 0)
      for (int fd = 3; fd < 1024; ++fd) ::close(fd);
    const char* environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", nullptr};
    ::execve(program, const_cast<char**>(words.data()), const_cast<char**>(environment));
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

/// What the process in the container has to say, as JSON.
inline nlohmann::json make_cache_inside(std::vector<std::string> folders,
                                        const std::string& driver_version, int cache,
                                        int messages) {
  const char* program = nullptr;
  for (const char* candidate :
       {"/sbin/ldconfig.real", "/usr/sbin/ldconfig.real", "/sbin/ldconfig", "/usr/sbin/ldconfig"})
    if (program == nullptr && ::access(candidate, X_OK) == 0) program = candidate;
  if (program == nullptr) return {{"none", true}};
  std::vector<std::map<std::string, std::string>> before;
  before.reserve(folders.size());
  for (const std::string& folder : folders) before.push_back(links_in(folder));
  const std::vector<std::string> watched = folders;
  if (const std::string newer = compatibility_folder(driver_version); !newer.empty())
    folders.insert(folders.begin(), newer);
  if (const int status = run_ldconfig(program, folders, messages); status != 0)
    return {{"error", std::string(program) + " of the image " + end_of(status)},
            {"remedy", WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ
                           ? io::remedy_for(EFBIG)
                           : "see whether this program runs in the image"}};
  const std::string file = std::string(cache_folder) + "/ld.so.cache";
  const io::Descriptor made(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!made) return {{"error", std::string(program) + " of the image made no cache"}};
  io::write_all(cache, io::read_all(made.get(), file), "the cache");
  auto links = nlohmann::json::array();
  for (std::size_t i = 0; i < watched.size(); ++i)
    for (const auto& [name, target] : links_in(watched[i])) {
      const auto old = before[i].find(name);
      if (old == before[i].end() || old->second != target)
        links.push_back({target, watched[i] + "/" + name});
    }
  return {{"links", links}};
}

/// What the child needs, prepared before it exists.
struct CacheWork {
  const CacheBox& box;
  const io::Descriptor& image;
  std::vector<std::string> folders;
  std::string driver_version;
  int cache, messages;
  int answer;  // a pipe
};

/// Becomes the container, around the image in the working directory, and does the work.
/// What it has to say, as JSON.
inline nlohmann::json make_cache_in(const CacheWork& work) {
  kernel::Linux k;
  const auto arena = std::make_unique<ArenaOf<std::size_t{1} << 20>>();
  const Result<Plan> plan = work.box.plan(probe(k), *arena);
  const HostLimits limits = probe_limits(k);
  if (!plan) return {{"error", "the device has more parts than a container can be planned with"}};
  if (const Result<void> done = execute(k, *plan); !done) {
    const Explanation why = explain(done.error(), *plan, limits);
    const auto index = static_cast<std::size_t>(done.error().step);
    const char* what = index < plan->steps.size()
                           ? std::visit(ch::detail::Attempt{}, plan->steps[index])
                           : "make it";
    return {{"error", std::string("can't make a container to run ldconfig in: can't ") + what +
                          " " + std::string(done.error().path.view()) + " (" +
                          io::errno_text(static_cast<int>(done.error().code)) + ")" +
                          (why.cause.empty() ? "" : "; " + std::string(why.cause))},
            {"remedy", std::string(why.remedy)}};
  }
  return make_cache_inside(work.folders, work.driver_version, work.cache, work.messages);
}

/// The child: does the work, and tells about it.
inline int cache_child(void* given) noexcept {
  const auto& work = *static_cast<const CacheWork*>(given);
  const auto tell = [&work](const nlohmann::json& said) {
    using Handler = nlohmann::json::error_handler_t;
    io::write_all(work.answer, said.dump(-1, ' ', true, Handler::replace), "a pipe");
  };
  try {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::umask(022);
    if (::fchdir(work.image.get()) != 0) io::throw_errno("go to", "the image");
    tell(make_cache_in(work));
  } catch (const io::Failed& e) {
    tell({{"error", e.what()}, {"remedy", e.remedy()}});
  } catch (const std::bad_alloc&) {
    constexpr std::string_view text =
        R"({"error": "out of memory", "remedy": "raise the limit: ulimit -v"})";
    (void)!::write(work.answer, text.data(), text.size());
  }
  return 0;
}

/// Ends `pid`, a child of ours, where nobody has waited for it.
class CacheMaker {
 public:
  explicit CacheMaker(pid_t pid) : pid_(pid) {}
  CacheMaker(const CacheMaker&) = delete;
  CacheMaker& operator=(const CacheMaker&) = delete;
  ~CacheMaker() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    (void)wait();
  }
  /// Its status, as man 2 wait has it.
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return status;
  }

 private:
  pid_t pid_;
};

inline io::Descriptor memory_file(const char* name) {
  io::Descriptor fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd) io::throw_errno("make", "a file in memory");
  return fd;
}

inline std::string content_of(const io::Descriptor& fd) {
  ::lseek(fd.get(), 0, SEEK_SET);
  return io::read_all(fd.get(), "a file in memory");
}

}  // namespace detail

/// Runs the ldconfig of the image at `image` with what `resolution` binds and links in it.
/// The calling process must have one thread only, since it forks. Throws io::Failed: no
/// container can be made, or ldconfig fails.
[[nodiscard]] inline LoaderCache make_loader_cache(const std::string& image,
                                                   const Resolution& resolution) {
  std::vector<UserBind> binds;
  std::vector<UserLink> links;
  std::set<std::string> folders(resolution.hooks.folders.begin(), resolution.hooks.folders.end());
  for (const Mount& mount : resolution.binds)
    binds.push_back({HostPath(mount.host_path.c_str()), ImagePath(mount.container_path.c_str()),
                     Access::read_only});
  for (const Link& link : resolution.hooks.links)
    links.push_back({link.target.c_str(), ImagePath(link.path.c_str())});
  // A link in each folder, so that the layer has the folder and it is ours: else ldconfig
  // can make no links in an image of another user's.
  std::vector<std::string> marks;
  marks.reserve(folders.size());
  for (const std::string& folder : folders) marks.push_back(folder + "/.charlie");
  for (const std::string& mark : marks) links.push_back({"charlie", ImagePath(mark.c_str())});

  // Opened once: by its path each further look could find another one.
  const io::Descriptor held(::open(image.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!held) io::throw_errno("open image", image);
  detail::CacheBox box;
  box.mounts.get<ImageRoot<Fixed<Access::read_only>>>().image = HostPath(".");
  box.mounts.get<WritableLayer>() = {OverlayKind::scratch, {}, {}};
  box.mounts.get<Additions>() = {links, {}};
  box.mounts.get<UserBinds>() = {binds};

  const io::Descriptor cache = detail::memory_file("ld.so.cache");
  const io::Descriptor messages = detail::memory_file("messages");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) io::throw_errno("make", "a pipe");
  const io::Descriptor answer(ends[0]);
  io::Descriptor theirs(ends[1]);
  detail::CacheWork work{box,
                         held,
                         {folders.begin(), folders.end()},
                         resolution.hooks.driver_version,
                         cache.get(),
                         messages.get(),
                         theirs.get()};
  // As fork, but not on this stack, which may be too small to make a container on.
  constexpr std::size_t stack_size = std::size_t{256} * 1024;
  const auto stack = std::make_unique_for_overwrite<std::byte[]>(stack_size);
  const pid_t child = ::clone(detail::cache_child, stack.get() + stack_size, SIGCHLD, &work);
  if (child < 0) io::throw_errno("start", "a process");
  detail::CacheMaker maker(child);
  theirs.reset();
  const std::string text = io::read_all(answer.get(), "what is told about the cache");
  const int status = maker.wait();
  const auto said = nlohmann::json::parse(text, nullptr, false);
  if (!said.is_object())
    throw io::Failed(io::printable(image),
                      "the process that runs ldconfig gave no answer; it " + detail::end_of(status),
                      "see whether it has enough memory (ulimit -a)");
  if (said.contains("error")) {
    std::string cause = said.at("error");
    const std::string printed = detail::content_of(messages);
    if (!printed.empty())
      cause += ": " + io::printable(printed.substr(0, printed.find('\n')).substr(0, 300));
    throw io::Failed(io::printable(image), cause, said.value("remedy", ""));
  }
  LoaderCache made;
  if (said.contains("none")) return made;
  made.bytes = detail::content_of(cache);
  for (const auto& link : said.at("links")) made.links.push_back({link.at(0), link.at(1)});
  return made;
}

}  // namespace ch::cdi
