// SPDX-License-Identifier: Apache-2.0
//
// Fuzz targets of ch/image/ and of the path resolver:
//
//   archive    any archive, read to its end by all code that reads archives
//   layer      members of layers, as a script, put into a tree on a memory file system
//   docker     manifest.json of a docker archive
//   oci        index.json, manifests and configurations of an OCI layout
//   name       names of members, whiteouts, digests
//   resolver   a path in an image with links: the kernel's walk and ours agree

#include "ch/image/extract.hpp"
#include "ch/image/listing.hpp"
#include "ch/image/member_lister.hpp"
#include "tests/fuzz/target.hpp"

namespace fuzz {
namespace {

using namespace ch::images;
namespace io = ch::io;

const MemoryFile& input_file() {
  static const MemoryFile one;
  return one;
}

/// Gives headers their correct checksum: otherwise hardly any would be read.
std::string with_checksums(std::string_view bytes) {
  std::string tar(bytes);
  for (std::size_t at = 0; at + 512 <= tar.size(); at += 512) {
    if (std::string_view(tar).substr(at + 257, 5) != "ustar") continue;
    std::memset(tar.data() + at + 148, ' ', 8);
    unsigned sum = 0;
    for (std::size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(tar[at + i]);
    std::snprintf(tar.data() + at + 148, 8, "%06o", sum);
  }
  return tar;
}

void fuzz_archive(std::string_view input) {
  UnpackOptions options;
  options.max_size = 16 << 20;
  options.max_files = 10000;
  options.xattrs = Xattrs::keep;
  InputWatch watch;
  MemberLister lister([](const Member& m) { (void)listing_line(m); });
  Input in;
  in.stream = io::Descriptor(dup(input_file().fill(with_checksums(input))));
  Extraction(in, place().fd(), options, ModeRules{}, watch).inspect(lister);
}

/// Members from a script: kind, size, a short name, a target. With few names, collisions are
/// frequent.
class ScriptReader {
 public:
  explicit ScriptReader(Bytes& script) : bytes(script) {}
  bool next(Member& m) {
    const std::uint8_t what = bytes.one();
    if (bytes.left.empty() || what == 0xff) return false;  // the end of a layer
    m.kind = static_cast<MemberKind>(what % 6);
    m.mode = static_cast<mode_t>(what) << 4;
    m.sparse = what == 200;
    const std::uint8_t size = bytes.one();
    m.size = m.kind != MemberKind::file ? 0 : size < 250 ? size : (size - 248) * 700'000U;
    m.name = bytes.until('\n');
    normalize_member_path(m.name, m.path);
    m.target.clear();
    if (m.kind == MemberKind::symlink) m.target = bytes.until('\n');
    if (m.kind == MemberKind::hard_link) normalize_member_path(bytes.until('\n'), m.target);
    for (const char c : m.target)
      if (c == '\0') return false;
    if (m.kind == MemberKind::symlink && m.target.empty()) m.target = ".";
    left_ = m.size;
    return true;
  }
  bool content(Piece& piece) {
    if (left_ == 0) return false;
    text.assign(static_cast<std::size_t>(std::min<std::uint64_t>(left_, 300'000)), 'x');
    piece = {text, at_, nullptr};
    at_ = (left_ -= text.size()) == 0 ? 0 : at_ + text.size();
    return true;
  }

 private:
  Bytes& bytes;
  std::string text;
  std::uint64_t left_ = 0, at_ = 0;
};

void fuzz_layer(std::string_view input) {
  Bytes bytes{input};
  Place& at = place();
  if (mkdirat(at.fd(), "tree", 0700) != 0) wrong("mkdir");
  const io::Descriptor root = io::open_directory(at.fd(), "tree");
  try {
    UnpackOptions options;
    options.max_size = 16 << 20;
    options.max_files = 1000;
    UnpackReport report;
    const InputWatch watch;
    Limits limits(options, root.get());
    TreeWriter tree(io::open_directory(root.get(), "."), 1, ModeRules{0022}, SpecialBits::keep);
    for (int layers = 0; layers < 4 && !bytes.left.empty(); ++layers) {
      ScriptReader reader(bytes);
      LayerApplier<TreeWriter>(tree, limits, report, watch).apply(reader, Whiteouts::oci);
    }
    tree.default_root({0755, {}, true});
    empty_dev(root.get());
    io::MadePaths made;
    (void)make_mount_points(root.get(), made);
    write_ch_file(root.get(), "environment", "A=B\n", made);
    date_made(root.get(), made);
    tree.finish();
  } catch (const io::Failed& e) {
    // The kernel may refuse what a file system can't do, but nothing that we should have checked.
    if (e.code() == EBADF || e.code() == EFAULT) wrong(e.what());
  }
  at.check();
  remove_tree(at.fd(), "tree");
}

/// The input is several documents; each name leads to one of them, so that references
/// resolve. The digests in them are made correct, if possible: a name is that of the
/// document.
class Documents final : public Blobs {
 public:
  explicit Documents(std::string_view input) {
    Bytes bytes{input};
    for (int i = 0; i < 4; ++i) texts_.emplace_back(bytes.until('\0'));
    std::uint64_t at = 0;
    std::string all;
    for (std::size_t i = texts_.size(); i-- > 0;) {  // the last is referred to by those before
      std::string& text = texts_[i];
      for (std::size_t later = i + 1; later < texts_.size(); ++later) {
        Sha256 sha;
        sha.add(texts_[later]);
        const std::string hex = sha.finish().hex();
        replace(text, "@" + std::to_string(later), hex);
        replace(text, "#" + std::to_string(later), std::to_string(texts_[later].size()));
        by_hex_[hex] = later;
      }
    }
    for (const std::string& text : texts_) {
      ranges_.push_back({-1, at, text.size()});
      at += text.size();
      all += text;
    }
    for (FileRange& range : ranges_) range.fd = input_file().fill(all);
  }
  const FileRange* find(const std::string& name) const override {
    if (name == "oci-layout") {
      static const int fd = [] {
        constexpr std::string_view text = R"({"imageLayoutVersion":"1.0.0"})";
        const int layout = memfd_create("layout", MFD_CLOEXEC);
        write_all(layout, text.data(), text.size(), 0, "layout");
        return layout;
      }();
      static const FileRange layout{fd, 0, 30};
      return &layout;
    }
    for (const auto& [hex, which] : by_hex_)
      if (name.find(hex) != std::string::npos) return &ranges_[which];
    if (name == "nothing") return nullptr;
    return &ranges_[0];
  }

 private:
  static void replace(std::string& text, const std::string& mark, const std::string& by) {
    for (std::size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += by.size())
      text.replace(at, mark.size(), by);
  }
  std::vector<std::string> texts_;
  std::vector<FileRange> ranges_;
  std::map<std::string, std::size_t> by_hex_;
};

void use(const ImageManifest& image) {
  std::vector<std::string> dropped;
  const std::string environment = environment_text(image.config, dropped);
  if (environment.find('\0') != std::string::npos) wrong("a NUL in the environment");
  (void)process_records(image.config);
}

void fuzz_docker(std::string_view input) {
  InputWatch watch;
  Bytes bytes{input};
  const std::string asked = bytes.one() % 2 == 0 ? "" : "app";
  const Documents documents(bytes.left);
  use(read_docker_archive(documents, asked, watch));
}

void fuzz_oci(std::string_view input) {
  InputWatch watch;
  UnpackOptions options;
  Bytes bytes{input};
  if (bytes.one() % 2 != 0) options.image_name = "app";
  const Documents documents(bytes.left);
  use(OciLayout(documents, options, watch).read());
}

bool leads_out(std::string_view path) {
  const std::string framed = "/" + std::string(path) + "/";
  return framed.find("/../") != std::string::npos || framed.find("/./") != std::string::npos ||
         (!path.empty() && framed.find("//") != std::string::npos) ||
         framed.find('\0') != std::string::npos;
}

void fuzz_name(std::string_view input) {
  (void)printable(input);
  std::string path;
  try {
    normalize_member_path(input, path);
    if (leads_out(path)) wrong("a normal form with .. in it");
    const std::string again = normal_member_path(path);
    if (again != path) wrong("the normal form has another normal form");
    const Whiteout whiteout = parse_whiteout(path);
    if (leads_out(whiteout.path)) wrong("a whiteout of something outside");
    if (whiteout.kind == Whiteout::Kind::none &&
        std::string_view(io::base_of(path)).starts_with(".wh."))
      wrong("a whiteout taken for a file");
  } catch (const io::Failed&) {
  }
  const Digest digest = parse_digest(input);
  if (digest.text() != input) wrong("a digest that is not its text");
}

/// A small tree with links. Non-empty files are ours, empty ones were made by a walk.
io::Descriptor resolver_tree() {
  Place& at = place();
  if (mkdirat(at.fd(), "tree", 0700) != 0) wrong("mkdir");
  io::Descriptor tree = io::open_directory(at.fd(), "tree");
  for (const char* d : {"a", "a/b", "a/b/c"})
    if (mkdirat(tree.get(), d, 0755) != 0) wrong("mkdir");
  for (const char* f : {"f", "a/f"})
    write_all(io::Descriptor(::openat(tree.get(), f, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)).get(),
              "x", 1, 0, f);
  for (const auto& [to, name] : {std::pair("a/b", "dir"), {"/a/../..", "up"}, {"none", "gone"}})
    if (symlinkat(to, tree.get(), name) != 0) wrong("symlink");
  return tree;
}

/// Where a walk ended, as the kernel names it; removes a file that the walk has made.
struct Arrival {
  ch::kernel::Errno error;
  std::string at;
  explicit Arrival(const ch::kernel::Returned<ch::kernel::Fd>& walk) : error(walk.error()) {
    if (!walk.ok()) return;
    const io::Descriptor fd(static_cast<int>(walk.value()));
    char name[4096];
    const std::string link = "/proc/self/fd/" + std::to_string(fd.get());
    const ssize_t length = ::readlink(link.c_str(), name, sizeof name);
    struct stat status {};
    if (length < 0 || fstat(fd.get(), &status) != 0) wrong("fstat");
    at.assign(name, static_cast<std::size_t>(length));
    if (at != tree() && !at.starts_with(tree() + "/")) wrong("the walk leads out");
    if (S_ISREG(status.st_mode) && status.st_size == 0) ::unlink(at.c_str());
  }
  static const std::string& tree() {
    static const std::string path = place().path() + "/tree";
    return path;
  }
};

/// "l" leads to the first line, "a/l" to the second; the third is the path.
void fuzz_resolver(std::string_view input) {
  static const io::Descriptor root = resolver_tree();
  Bytes bytes{input};
  constexpr std::uint64_t ways[] = {O_PATH,
                                    O_PATH | O_NOFOLLOW,
                                    O_PATH | O_DIRECTORY,
                                    O_PATH | O_DIRECTORY | O_NOFOLLOW,
                                    O_RDONLY,
                                    O_RDONLY | O_NOFOLLOW,
                                    O_RDONLY | O_DIRECTORY,
                                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                                    O_WRONLY | O_CREAT,
                                    O_WRONLY | O_CREAT | O_NOFOLLOW,
                                    O_WRONLY | O_CREAT | O_EXCL};
  const std::uint64_t flags = ways[bytes.one() % std::size(ways)];
  for (const char* name : {"l", "a/l"}) {
    const std::string to(bytes.until('\n'));
    ::unlinkat(root.get(), name, 0);
    if (!to.empty()) (void)!::symlinkat(to.c_str(), root.get(), name);
  }
  const std::string path = std::string(bytes.until('\n').substr(0, 5000)).c_str();
  const unsigned mode = (flags & O_CREAT) != 0 ? 0600 : 0;
  ch::kernel::Linux linux;
  ch::kernel::RootWalk walk;
  const Arrival by_kernel(
      ch::kernel::open_in_root(linux, root.kernel_fd(), path.c_str(), flags, mode));
  const Arrival by_us(walk.open(linux, root.kernel_fd(), path.c_str(), flags, mode));
  if (by_us.error == ch::kernel::Errno::enametoolong) return;  // we hold fewer directories
  if (by_kernel.error == by_us.error && by_kernel.at == by_us.at) return;
  ::dprintf(messages, "path '%s', flags %llo: %d '%s' and %d '%s'\n", path.c_str(),
            static_cast<unsigned long long>(flags), static_cast<int>(by_kernel.error),
            by_kernel.at.c_str(), static_cast<int>(by_us.error), by_us.at.c_str());
  wrong("the two walks come to different places");
}

constexpr Target targets[] = {{"archive", fuzz_archive}, {"layer", fuzz_layer},
                              {"docker", fuzz_docker},   {"oci", fuzz_oci},
                              {"name", fuzz_name},       {"resolver", fuzz_resolver}};

}  // namespace

std::span<const Target> image_targets() { return targets; }

}  // namespace fuzz
