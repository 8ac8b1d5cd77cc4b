// SPDX-License-Identifier: Apache-2.0
//
// Fuzz targets of ch/inject/:
//
//   elf        a file on its way into an image, or a library in the image, by what is in it
//   cdi        device descriptions, JSON and YAML, up to the options that ch-run reads
//   journal    the journal of an injection that was killed: an image may contain anything
//   manifest   the record of what was injected, and taking that out again

#include <memory>

#include "apps/ch-run/configuration.hpp"
#include "ch/devices/cdi.hpp"
#include "ch/inject/device_files.hpp"
#include "ch/inject/inject.hpp"
#include "tests/fuzz/target.hpp"

namespace fuzz {
namespace {

using namespace ch::injection;
namespace io = ch::io;
namespace cdi = ch::cdi;

void put(int directory, const std::string& name, std::string_view content) {
  const int fd = ::openat(directory, name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) wrong("no file to write to");
  fill(fd, content);
  ::close(fd);
}

void make_directories(int directory, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (::mkdirat(directory, name, 0755) != 0) wrong("mkdir");
}

/// A small image with glibc's layout, made once.
const ImageTree& image_for_libraries() {
  static const std::unique_ptr<ImageTree> tree = [] {
    const int at = place().fd();
    make_directories(at, {"tree", "tree/lib", "tree/etc", "tree/usr", "tree/usr/bin"});
    const io::Descriptor libc(::open("/lib/x86_64-linux-gnu/libc.so.6", O_RDONLY | O_CLOEXEC));
    put(at, "tree/lib/libc.so.6", libc ? io::read_all(libc.get(), "libc") : std::string());
    return std::make_unique<ImageTree>(place().path() + "/tree");
  }();
  return *tree;
}

/// The first byte says where the file goes. Into the image: a plan is made for it. A
/// library that the image has: something else needs a version of it.
void fuzz_elf(std::string_view input) {
  Bytes bytes{input};
  const bool goes_in = bytes.one() % 2 == 0;
  const ImageTree& tree = image_for_libraries();
  put(tree.root().get(), "libfuzz.so.1", goes_in ? bytes.left : std::string_view());
  put(tree.root().get(), "lib/libfuzz.so.1", goes_in ? std::string_view() : bytes.left);
  if (goes_in) {
    const std::string path = place().path() + "/tree/libfuzz.so.1";
    (void)check_integrity(io::Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), path);
    Planner planner(tree, Manifest{}, ch::WithLibraries::of_programs, HostSettings{});
    planner.add({path, std::nullopt, "--path"});
    (void)planner.finish();
    return;
  }
  const ImageLibraries image(tree);
  Incoming user{"program", "/usr/bin/program", {}};
  user.elf.machine = EM_X86_64;
  user.elf.bits = 64;
  user.elf.needed = {"libfuzz.so.1", "libc.so.6"};
  user.elf.needed_versions = {{"libfuzz.so.1", "V_1.10"}, {"libfuzz.so.1", "V_1.9"}};
  check_versions({user}, image, [](const Incoming&, const std::string&) {});
}

/// ch-run must understand the text that ch-device writes as it was described.
void check_device_file(const cdi::Resolution& resolution) {
  const std::string text = cdi::device_file(resolution, {"cache", {}}, "/a:b\\c");
  static std::byte storage[std::size_t{8} << 20];
  ch::Arena arena(storage);
  ch_run::Options options;
  if (const auto problem = ch_run::apply_devices(text, options, arena);
      problem.problem != nullptr) {
    if (arena.used() > sizeof storage / 2) return;
    ::dprintf(messages, "%s: %.*s\n", problem.problem, static_cast<int>(problem.subject.size()),
              problem.subject.data());
    wrong("ch-run does not understand what ch-device writes");
  }
  if (options.binds.size() != resolution.binds.size() || options.copies.size() != 1 ||
      options.environment.size() != resolution.environment.size())
    wrong("ch-run finds another number of options in what ch-device writes");
  for (std::size_t i = 0; i < options.binds.size(); ++i)
    if (options.binds[i].source.text.view() != resolution.binds[i].host_path ||
        options.binds[i].destination.text.view() != resolution.binds[i].container_path)
      wrong("ch-run binds something else than what is described");
}

/// The first byte: JSON, YAML, or one of each with a NUL between them.
void fuzz_cdi(std::string_view input) {
  Bytes bytes{input};
  const int form = bytes.one() % 3;
  static const std::string directory = [] {
    make_directories(place().fd(), {"tree"});
    return place().path() + "/tree";
  }();
  static const io::Descriptor at(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  put(at.get(), "a.json", form == 1 ? "" : form == 0 ? bytes.left : bytes.until('\0'));
  put(at.get(), "b.yaml", form == 0 ? "" : bytes.left);
  const cdi::Registry registry({directory});
  for (const auto& [name, found] : registry.devices()) {
    try {
      const auto request = cdi::parse_request(name);
      if (!request) wrong("a device of this name can't be asked for");
      const cdi::Resolution resolution = cdi::resolve(registry, {*request});
      check_device_file(resolution);
      (void)device_files(resolution, std::nullopt);
    } catch (const io::Failed&) {  // the host lacks it: try the next one
    }
  }
}

/// What is below `directory`: a line each, with whatever an injection may change.
void list_tree(int directory, const std::string& path, std::string& out) {
  std::vector<std::string> names = io::names_in(directory, path);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    struct stat status {};
    if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) wrong("fstatat");
    out += path + '/' + name + ' ' + std::to_string(status.st_mode) + ' ' +
           std::to_string(S_ISDIR(status.st_mode) ? 0 : status.st_size) + '\n';
    if (!S_ISDIR(status.st_mode)) continue;
    const io::Descriptor below(::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC));
    list_tree(below.get(), path + '/' + name, out);
  }
}

/// Removes all that is in `directory`.
void empty(int directory) {
  (void)::fchmod(directory, 0755);
  for (const std::string& name : io::names_in(directory, "")) {
    if (::unlinkat(directory, name.c_str(), 0) == 0) continue;
    const io::Descriptor below(
        ::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!below) {
      (void)::fchmodat(directory, name.c_str(), 0755, 0);
      empty(io::Descriptor(::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC)).get());
    } else {
      empty(below.get());
    }
    if (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) != 0) wrong("rmdir");
  }
}

/// An image with an earlier injection, and with links that lead outside.
class InjectedImage {
 public:
  InjectedImage() {
    const int at = place().fd();
    make_directories(at, {"tree", "tree/ch", "tree/ch/injected.d", "tree/lib", "tree/usr",
                          "tree/usr/bin", "tree/empty"});
    put(at, "tree/lib/liba.so", "injected");
    put(at, "tree/usr/bin/b", "injected");
    put(at, "tree/ch/injected.d/1", "original");
    put(at, "tree/ch/injected.d/2", "original");
    put(at, "tree/lib/.charlie-3.new", "staged");
    for (const auto& [target, name] : {std::pair("..", "tree/out"),
                                       {"../../canary", "tree/lib/canary"},
                                       {"/lib", "tree/root"},
                                       {"liba.so", "tree/lib/liba.so.1"},
                                       {"../..", "tree/ch/up"}})
      if (::symlinkat(target, at, name) != 0) wrong("symlink");
    tree_ = std::make_unique<ImageTree>(place().path() + "/tree");
  }
  ~InjectedImage() {
    empty(tree_->root().get());
    if (::unlinkat(place().fd(), "tree", AT_REMOVEDIR) != 0) wrong("rmdir");
  }
  InjectedImage(const InjectedImage&) = delete;
  InjectedImage& operator=(const InjectedImage&) = delete;

  [[nodiscard]] const ImageTree& tree() const { return *tree_; }
  [[nodiscard]] std::string listing() const {
    std::string text;
    list_tree(tree_->root().get(), "", text);
    return text;
  }

 private:
  std::unique_ptr<ImageTree> tree_;
};

/// A document of ours is written as it was read.
template <class Document>
void check_round_trip(const std::string& text, Document (*read)(const std::string&)) {
  const std::string once = to_text(read(text));
  if (to_text(read(once)) != once) wrong("a document changes when it is read and written");
}

void fuzz_journal(std::string_view input) {
  const InjectedImage image;
  put(image.tree().root().get(), "ch/.ch-fromhost.journal", input);
  const auto recovers = [&image] {
    try {
      (void)Transaction::recover(image.tree());
      return true;
    } catch (const io::Failed&) {
      return false;
    }
  };
  if (recovers()) {  // what can't be removed stays, with the journal; nothing is left to do
    const std::string once = image.listing();
    if (!recovers()) wrong("a second recovery fails where the first did not");
    if (image.listing() != once) wrong("a second recovery changes more than the first");
  }
  place().check();
  check_round_trip(std::string(input), journal_from_text);
}

void fuzz_manifest(std::string_view input) {
  const InjectedImage image;
  put(image.tree().root().get(), "ch/injected.json", input);
  const std::string before = image.listing();
  try {
    const Manifest manifest = read_manifest(image.tree());
    InjectionPlan plan = plan_removal(image.tree(), manifest);
    ch::InjectOptions options;
    options.ldconfig = ch::Ldconfig::leave_out;
    ch::InjectReport report;
    remove(image.tree(), manifest, std::move(plan), options, report);
  } catch (const io::Failed&) {
    if (image.listing() != before) wrong("a removal that failed has changed the image");
  }
  place().check();
  check_round_trip(std::string(input), manifest_from_text);
}

constexpr Target targets[] = {
    {"elf", fuzz_elf}, {"cdi", fuzz_cdi}, {"journal", fuzz_journal}, {"manifest", fuzz_manifest}};

}  // namespace

std::span<const Target> inject_targets() { return targets; }

}  // namespace fuzz
