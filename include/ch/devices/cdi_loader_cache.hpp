// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. The loader's cache of an image with a device's libraries, made by the image's own
// ldconfig in a temporary container: the image, a layer in memory, and the libraries. The result is
// the bytes of the cache and the links that ldconfig makes from sonames to files. Nothing is
// written to the image or to a disk.
// Source: man 8 ldconfig; man 2 memfd_create.
#pragma once

#include <sys/mman.h>
#include <sys/stat.h>

#include <map>
#include <new>
#include <optional>

#include "ch/devices/cdi_resolve.hpp"
#include "ch/io/thread.hpp"
#include "ch/run.hpp"

namespace ch::cdi {

struct LoaderCache {
  std::string bytes;        // of etc/ld.so.cache; empty: the image has no ldconfig
  std::vector<Link> links;  // that ldconfig made
};

namespace detail {

inline constexpr const char* cache_folder = "/.charlie-cache";

/// A writable directory in memory for ldconfig's output: the image's own may belong to another
/// user.
struct CacheFolder {
  static constexpr bool uses_scratch = true;
  void contribute(PlanBuilder& b, const PlanContext&) const noexcept {
    b.add(step::MakeScratchDirectory{ScratchPath("cache")});
    b.add(step::BindScratch{ScratchPath("cache"), ImagePath(cache_folder), Access::read_write,
                            IfMissing::create});
  }
};

/// The targets of the links in `folder`, by name.
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

/// The directory of the image's CUDA compatibility library if that is newer than the driver's; else
/// empty.
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

inline io::Descriptor memory_file(const char* name) {
  io::Descriptor fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd) io::throw_errno("make", "a file in memory");
  return fd;
}

/// Runs ldconfig in the container that this process is in. Throws if it fails.
inline void run_ldconfig(const std::string& program, const std::vector<std::string>& folders,
                         const std::string& cache) {
  std::vector<std::string> words = {program, "-C", cache};
  words.insert(words.end(), folders.begin(), folders.end());
  const io::Descriptor messages = memory_file("messages");
  const Command command(std::move(words));
  const Options options{.in = Stream::text(""),  // there is no /dev/null here
                        .out = Stream::descriptor(messages.get()),
                        .err = Stream::descriptor(messages.get()),
                        .environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"},
                        .inherit = Inherit::nothing};
  // As a called function that executes the program, so that it dies with its caller: it is
  // untrusted.
  auto called =
      spawn_call(host, [&] { return static_cast<int>(exec(host, command, options).code); },
                 {.descriptors = {{messages.get()}}});
  if (!called) throw io::Failed(called.error());
  const Outcome<int> not_started = called->get();
  const std::optional<ExitStatus> end = not_started ? std::nullopt : called->status();
  if (end && *end == ExitStatus{}) return;
  std::string cause = program + " of the image ";
  if (!end)
    cause += "can't be executed: " +
             (not_started ? io::errno_text(*not_started) : not_started.error().cause);
  else
    cause += end->signal != 0 ? std::string("was killed: ") + ::strsignal(end->signal)
                              : "failed with status " + std::to_string(end->code);
  ::lseek(messages.get(), 0, SEEK_SET);
  const std::string printed = io::read_all(messages.get(), "ldconfig's output");
  if (!printed.empty())
    cause += ": " + io::printable(printed.substr(0, printed.find('\n')).substr(0, 300));
  throw io::Failed(std::string(), std::move(cause),
                   end && end->signal == SIGXFSZ ? io::remedy_for(EFBIG)
                                                 : "check that this program runs in the image");
}

/// In the container: makes the cache.
inline LoaderCache make_cache_inside(std::vector<std::string> folders,
                                     const std::string& driver_version) {
  const char* program = nullptr;
  for (const char* candidate :
       {"/sbin/ldconfig.real", "/usr/sbin/ldconfig.real", "/sbin/ldconfig", "/usr/sbin/ldconfig"})
    if (program == nullptr && ::access(candidate, X_OK) == 0) program = candidate;
  LoaderCache made;
  if (program == nullptr) return made;
  std::vector<std::map<std::string, std::string>> before;
  before.reserve(folders.size());
  for (const std::string& folder : folders) before.push_back(links_in(folder));
  const std::vector<std::string> watched = folders;
  if (const std::string newer = compatibility_folder(driver_version); !newer.empty())
    folders.insert(folders.begin(), newer);
  const std::string file = std::string(cache_folder) + "/ld.so.cache";
  ::umask(022);
  run_ldconfig(program, folders, file);
  const io::Descriptor cache(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!cache) throw io::Failed(std::string(), std::string(program) + " of the image made no cache");
  made.bytes = io::read_all(cache.get(), file);
  for (std::size_t i = 0; i < watched.size(); ++i)
    for (const auto& [name, target] : links_in(watched[i])) {
      const auto old = before[i].find(name);
      if (old == before[i].end() || old->second != target)
        made.links.push_back({target, watched[i] + "/" + name});
    }
  return made;
}

/// Serialises a cache, or why there is none, to pass it out of the container: NUL-terminated texts,
/// which contain no other NUL, then the bytes of the cache.
inline std::string to_text(const LoaderCache& cache) {
  std::string text(2, '\0');  // neither cause nor remedy
  for (const Link& link : cache.links)
    text.append(link.target).append(1, '\0').append(link.path).append(1, '\0');
  return text.append(1, '\0').append(cache.bytes);
}
inline std::string to_text(const io::Failed& failed) {
  return std::string(failed.what()) + '\0' + failed.remedy() + '\0';
}
inline LoaderCache from_text(std::string_view text, const std::string& image) {
  const auto next = [&text] {
    std::string field(text.substr(0, text.find('\0')));
    text.remove_prefix(std::min(text.size(), field.size() + 1));
    return field;
  };
  const std::string cause = next();
  const std::string remedy = next();
  if (!cause.empty()) throw io::Failed(io::printable(image), cause, remedy);
  LoaderCache cache;
  for (std::string target = next(); !target.empty(); target = next())
    cache.links.push_back({std::move(target), next()});
  cache.bytes = text;
  return cache;
}

}  // namespace detail

/// Runs the ldconfig of the image at `image` with what `resolution` binds and links in it.
/// Forks. Throws io::Failed: no container can be made, or ldconfig fails.
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
  // Makes a link in each folder, so that the folder is in the layer and belongs to us; otherwise
  // ldconfig could make no links there if the image belongs to another user.
  std::vector<std::string> marks;
  marks.reserve(folders.size());
  for (const std::string& folder : folders) marks.push_back(folder + "/.charlie");
  for (const std::string& mark : marks) links.push_back({"charlie", ImagePath(mark.c_str())});

  // Opened once: its path may stand for another directory later.
  const io::Descriptor held(::open(image.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!held) io::throw_errno("open image", image);
  const auto box = compose(as_root,
                           ImageRoot<>{HostPath(image.c_str()), Access::read_only, held.kernel_fd(),
                                       FoundBy::descriptor},
                           WritableLayer{OverlayKind::scratch, {}, {}}, detail::CacheFolder{},
                           Additions{links, {}}, UserBinds{binds});
  const auto make = [&]() -> std::string {
    try {
      return detail::to_text(detail::make_cache_inside({folders.begin(), folders.end()},
                                                       resolution.hooks.driver_version));
    } catch (const io::Failed& e) {
      return detail::to_text(e);
    }
  };
  // On a thread, since this stack may be too small to make a container.
  std::optional<Outcome<std::string>> told;
  io::Thread([&] {
    try {
      told.emplace(call(box, make));
    } catch (const std::bad_alloc&) {  // `told` stays empty
    }
  }).join();
  if (!told) throw io::out_of_memory();
  if (*told) return detail::from_text(**told, image);
  const Failure& why = told->error();
  std::string cause = "can't make a container to run ldconfig in: can't " + why.attempted;
  if (why.part == FailedPart::program)
    cause = "the process that runs ldconfig sent no result";
  else if (!why.path.empty())
    cause += ' ' + io::printable(why.path);
  if (why.code != Errno::none) cause += ": " + io::errno_text(static_cast<int>(why.code));
  if (!why.cause.empty()) cause += "; " + why.cause;
  throw io::Failed(io::printable(image), std::move(cause),
                   why.part == FailedPart::program ? "check that it has enough memory (ulimit -a)"
                   : why.remedy.empty()            ? io::remedy_for(static_cast<int>(why.code))
                                                   : why.remedy);
}

}  // namespace ch::cdi
