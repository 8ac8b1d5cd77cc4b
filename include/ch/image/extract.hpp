// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. From an open archive to a complete image in an open directory: detects the kind of
// archive, applies its layers, and adds what ch-run needs. Uses no path of the host, so it also
// runs in a container that has none.
// Source: docs/unpack.md.
#pragma once

#include <fstream>
#include <thread>

#include "ch/image/docker_archive.hpp"
#include "ch/image/layer_applier.hpp"
#include "ch/image/mapped_blocks.hpp"
#include "ch/image/mount_points.hpp"
#include "ch/image/oci_layout.hpp"

namespace ch::images {

/// The umask, read without changing it even for a moment as umask(2) would, which other threads
/// might notice.
[[nodiscard]] inline ModeRules mode_rules_of_process() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line))
    if (line.starts_with("Umask:"))
      return {static_cast<mode_t>(std::strtoul(line.c_str() + 6, nullptr, 8))};
  return {0777};  // unknown: then every mode is set explicitly
}

/// The only directory of a tree that consists of nothing else, or "". Many tars contain a directory
/// rather than its contents. A directory called usr or etc does not count.
[[nodiscard]] inline std::string enclosing_directory(int root) {
  std::string only;
  bool alone = true;
  io::each_entry(root, [&](const dirent& entry) {
    alone = only.empty();
    only = entry.d_name;
    return alone;
  });
  struct stat status {};
  if (!alone || only.empty() || !io::status_of(root, only.c_str(), status) ||
      !S_ISDIR(status.st_mode))
    return {};
  for (const char* standard :
       {"bin", "boot", "ch",   "dev", "etc",  "home", "lib", "lib64", "media", "mnt", "nix",
        "opt", "proc", "root", "run", "sbin", "srv",  "sys", "tmp",   "usr",   "var"})
    if (only == standard) return {};
  return only;
}

/// What is unpacked: an open file or pipe, or the files of an OCI layout that is a
/// directory.
struct Input {
  io::Descriptor stream;
  std::optional<DirectoryBlobs> layout;
};

[[noreturn]] inline void throw_not_opened(const std::string& archive, int why) {
  const bool standard_input = archive == "-";
  std::string remedy;
  if (why == EACCES || why == EPERM) remedy = "ask its owner to let you read it";
  if (why == ENOENT || why == ENOTDIR) remedy = "check the name, and where you are: pwd";
  if (standard_input) remedy = "connect it to a file or a pipe, or name an archive";
  if (why == EMFILE || why == ENFILE) remedy = io::remedy_for(why);
  throw io::Failed(io::Reason::system, standard_input ? "standard input" : archive,
                   std::string("can't open the archive: ") + std::strerror(why), std::move(remedy),
                   why);
}

/// Opens `archive`; "-" is standard input. Throws what man 2 open says.
inline Input open_input(const std::string& archive) {
  Input input{archive == "-" ? io::Descriptor(::fcntl(0, F_DUPFD_CLOEXEC, 3))
                             : io::above_streams(io::Descriptor(
                                   ::open(archive.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY))),
              {}};
  struct stat status {};
  if (!input.stream || ::fstat(input.stream.get(), &status) != 0) throw_not_opened(archive, errno);
  if (S_ISDIR(status.st_mode)) {
    input.layout.emplace(input.stream.get());
    input.stream.reset();
  }
  return input;
}

// While the parser waits for the next block it holds others: at worst one for each file of an
// incomplete batch, those of one small file, and the last ones.
inline constexpr std::uint64_t blocks_held(std::size_t size) {
  return FileWriters::batch_jobs + TreeWriter::small_file / size + 3;
}
static_assert(blocks_held(Block::capacity) < BlockPool::limit);
static_assert(blocks_held(MappedBlocks::window) < MappedBlocks::windows);

class Extraction {
 public:
  /// Extracts `input` into the empty directory `root`. All arguments outlive this object.
  Extraction(const Input& input, int root, const UnpackOptions& options, ModeRules rules,
             InputWatch& watch, Reading reading = Reading::by_calls)
      : input_(input),
        options_(options),
        rules_(rules),
        watch_(watch),
        reading_(reading),
        root_(root),
        limits_(options, root) {}

  /// Extracts everything. Throws io::Failed, after which the directory's contents are useless.
  UnpackReport run() {
    TreeWriter tree(io::open_directory(root_, "."), threads(), rules_, options_.special_bits,
                    options_.owners);
    read_into(tree);
    if (report_.format == "tar") {
      if (io::is_empty(root_))
        throw io::Failed(io::Reason::unsupported, {}, "the archive has nothing in it to unpack");
      report_.stripped_directory = enclosing_directory(root_);
    }
    complete(tree);
    return std::move(report_);
  }
  /// Shows every member to `looker` and makes all checks; creates nothing (except an unnamed file
  /// in `root`, for a copy of a compressed image archive).
  template <class Looker>
  UnpackReport inspect(Looker& looker) {
    read_into(looker);
    return std::move(report_);
  }

 private:
  static constexpr std::size_t first_look = 64 * 1024;

  [[nodiscard]] unsigned threads() const {
    if (options_.writers != 0) return options_.writers;
    return std::clamp(std::thread::hardware_concurrency() + 1, 2U, 8U);  // some will wait for pages
  }

  template <class Tree>
  void read_into(Tree& tree) {
    if (input_.layout)
      from_layout_directory(tree);
    else
      from_stream(tree);
    report_.input_bytes = watch_.bytes_read;
  }

  template <class Tree>
  void from_layout_directory(Tree& tree) {
    const DirectoryBlobs& blobs = *input_.layout;
    if (blobs.find("oci-layout") == nullptr && blobs.find("index.json") == nullptr)
      throw io::Failed(io::Reason::unsupported, {}, "this directory is not an OCI layout",
                       "give an archive, or a directory with oci-layout, index.json and blobs");
    report_.format = "OCI layout";
    from_image(tree, OciLayout(blobs, options_, watch_).read());
  }

  template <class Tree>
  void from_stream(Tree& tree) {
    const int fd = input_.stream.get();
    struct stat status {};
    if (::fstat(fd, &status) != 0) io::throw_errno("look at", "the archive");
    const bool seekable = S_ISREG(status.st_mode);
    const FileRange whole{fd, 0, static_cast<std::uint64_t>(status.st_size)};
    std::unique_ptr<ByteSource> raw;
    if (seekable)
      raw = std::make_unique<RangeSource>(whole, watch_);
    else
      raw = std::make_unique<PipeSource>(fd, watch_);
    Compression compression = Compression::none;
    auto source = std::make_unique<PeekSource>(decompress(std::move(raw), compression));
    report_.compression = name_of(compression);
    if (!names_image_part(first_name(source->peek(first_look)))) {
      if (seekable && compression == Compression::none) return from_plain_tar(tree, whole);
      BlockStream stream(std::move(source));
      return from_plain_tar(tree, stream);
    }

    // An image archive is read in the order of its manifest, which may be its last member.
    io::Descriptor spool;
    FileRange tar = whole;
    if (!seekable || compression != Compression::none) tar = spooled(*source, spool);
    source.reset();
    watch_.bytes_read = 0;
    TarBlobs blobs(tar);
    const bool docker = blobs.has("manifest.json");
    // Either file makes it an OCI layout; if the other is missing, that is an error, and it is not
    // unpacked as plain files.
    const bool oci = blobs.has("oci-layout") || (blobs.has("index.json") && blobs.has_digests());
    if (docker && (!oci || options_.platform.architecture.empty())) {
      report_.format = "docker archive";
      const ImageManifest image = read_docker_archive(blobs, options_.image_name, watch_);
      if (!options_.platform.architecture.empty())
        require_architecture(image.config, options_.platform.architecture);
      from_image(tree, image);
    } else if (oci) {
      report_.format = "OCI layout";
      from_image(tree, OciLayout(blobs, options_, watch_).read());
    } else if (blobs.has("repositories") || blobs.has_digests()) {
      throw io::Failed(
          io::Reason::unsupported, {},
          "these are parts of a container image, but there is neither manifest.json nor index.json "
          "(before Docker 1.10 there was none)",
          "load and save it with a newer Docker, Podman or skopeo");
    } else {
      from_plain_tar(tree, tar);
    }
  }

  /// The blocks of an uncompressed stretch of a file.
  std::unique_ptr<BlockSource> blocks_of(const FileRange& range, DigestCheck check = {}) {
    if (reading_ == Reading::mapped && MappedBlocks::possible(range.fd))
      return std::make_unique<MappedBlocks>(range, watch_, std::move(check));
    return std::make_unique<BlockStream>(std::make_unique<RangeSource>(range, watch_),
                                         std::move(check));
  }

  /// A plain tar offers no choice; a user who chooses expects another kind of archive.
  static void refuse_choice(bool chosen, const std::string& what) {
    if (chosen)
      throw io::Failed(
          {},
          "this is the tar of a single file system, in which there is no " + what + " to choose",
          "leave out the choice, or give the archive that has several images")
          .with_kind(Remedy::leave_out_choice);
  }

  /// The name of the first member that has one, in normal form; "" if there is none.
  static std::string first_name(std::span<const char> beginning) {
    const BytesLocale locale;
    const ArchiveHandle handle(archive_read_new());
    archive* a = handle.get();
    archive_read_support_format_tar(a);
    archive_entry* entry = nullptr;
    if (archive_read_open_memory(a, beginning.data(), beginning.size()) != ARCHIVE_OK) return {};
    while (archive_read_next_header(a, &entry) == ARCHIVE_OK) {
      const char* name = archive_entry_pathname(entry);
      if (name == nullptr || std::string_view(name).find("..") != std::string_view::npos) return {};
      if (std::string path = normal_member_path(name); !path.empty()) return path;
    }
    return {};
  }

  /// Copies the stream to an unnamed file beside the image.
  FileRange spooled(ByteSource& source, io::Descriptor& spool) {
    spool = io::Descriptor(::openat(root_, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!spool) {  // file systems without O_TMPFILE: create it and unlink it
      spool =
          io::Descriptor(::openat(root_, ".spool", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
      if (!spool || ::unlinkat(root_, ".spool", 0) != 0)
        io::throw_errno("make", "a temporary file");
    }
    std::vector<char> buffer(1024 * 1024);
    std::uint64_t size = 0;
    while (const std::size_t n = source.read(buffer)) {
      limits_.announced(size + n);
      write_all(spool.get(), buffer.data(), n, size, "a temporary copy of the archive");
      size += n;
    }
    return {spool.get(), 0, size};
  }

  template <class Tree>
  void from_plain_tar(Tree& tree, const FileRange& range) {
    watch_.bytes_read = 0;  // discards what the first look counted
    from_plain_tar(tree, *blocks_of(range));
  }
  template <class Tree>
  void from_plain_tar(Tree& tree, BlockSource& stream) {
    report_.format = "tar";
    ArchiveReader reader(stream, options_.xattrs);
    refuse_choice(!options_.image_name.empty(), "image");
    refuse_choice(!options_.platform.architecture.empty(), "platform");
    LayerApplier<Tree>(tree, limits_, report_, watch_).apply(reader, Whiteouts::ordinary_files);
    stream.finish();
  }

  template <class Tree>
  void from_image(Tree& tree, const ImageManifest& image) {
    report_.image_name = image.name;
    config_text_ = image.config_text;
    std::vector<std::string> dropped;
    environment_ = environment_text(image.config, dropped);
    process_ = process_records(image.config);
    for (const std::string& name : dropped)
      report_.notes.push_back("left out of /ch/environment: variable " + name +
                              ", which does not fit on a line");
    for (const Layer& layer : image.layers) {
      try {
        apply(tree, layer);
      } catch (io::Failed& e) {
        e.in_member("layer " + printable(layer.name));
        throw;
      }
    }
  }

  template <class Tree>
  void apply(Tree& tree, const Layer& layer) {
    const std::uint64_t before = watch_.bytes_read;
    std::unique_ptr<ByteSource> source = std::make_unique<RangeSource>(layer.blob, watch_);
    // For an uncompressed blob both digests are the same, and one check suffices.
    const bool check_blob = layer.digest && *layer.digest != layer.diff_id;
    if (check_blob) source = std::make_unique<CheckedSource>(std::move(source), *layer.digest);
    Compression compression = Compression::none;
    source = decompress(std::move(source), compression);
    if (compression != Compression::none || check_blob) {
      BlockStream stream(std::move(source), DigestCheck(layer.diff_id));
      return apply(tree, layer, stream);
    }
    source.reset();
    watch_.bytes_read = before;
    apply(tree, layer, *blocks_of(layer.blob, DigestCheck(layer.diff_id)));
  }
  template <class Tree>
  void apply(Tree& tree, const Layer& layer, BlockSource& stream) {
    ArchiveReader reader(stream, options_.xattrs);
    LayerApplier<Tree>(tree, limits_, report_, watch_)
        .apply(reader, Whiteouts::oci, printable(layer.name));
    stream.finish();
  }

  /// What an image needs beyond its archive.
  void complete(TreeWriter& tree) {
    const std::string& inner = report_.stripped_directory;
    tree.default_root({0755, {}, true});
    const io::Descriptor image = io::open_directory(root_, inner.empty() ? "." : inner.c_str());
    empty_dev(image.get());
    io::MadePaths made;
    for (const std::string& odd : make_mount_points(image.get(), made))
      report_.notes.push_back(odd + " in the image can't be used by ch-run as a mount point");
    if (!config_text_.empty()) {
      write_ch_file(image.get(), "config.json", config_text_, made);
      write_ch_file(image.get(), "environment", environment_, made);
      write_ch_file(image.get(), "process", process_, made);
    }
    const io::Json mark = {{"unpacked_by", "ch-tar2dir"},
                           {"format", report_.format},
                           {"image", report_.image_name},
                           {"layers", report_.layers},
                           {"owners", options_.owners == Owners::mine ? "one" : "several"}};
    write_ch_file(image.get(), "unpacked.json",
                  mark.dump(2, ' ', false, io::Json::error_handler_t::replace) + '\n', made);
    date_made(image.get(), made);
    tree.finish();
  }

  const Input& input_;
  const UnpackOptions& options_;
  ModeRules rules_;
  InputWatch& watch_;
  Reading reading_;
  int root_;
  Limits limits_;
  UnpackReport report_;
  std::string config_text_, environment_, process_;
};

}  // namespace ch::images
