// SPDX-License-Identifier: Apache-2.0
//
// libFuzzer target: the readers of archives and manifests. The first byte of the input
// chooses what the rest is taken for: any archive; a docker manifest.json; an OCI
// index.json; a member name or digest. An UnpackError is a good answer; a crash, a leak,
// undefined behaviour or a hang is not. Nothing is written to disk.

#include <sys/mman.h>

#include "ch/image/extract.hpp"
#include "ch/image/member_lister.hpp"

namespace {

using namespace ch::image;

/// One file in memory, filled anew for each input.
int memory_file(std::string_view bytes) {
  static const int fd = memfd_create("fuzz", MFD_CLOEXEC);
  if (ftruncate(fd, 0) != 0) std::abort();
  write_all(fd, bytes.data(), bytes.size(), 0, "input");
  return fd;
}

void any_archive(std::string_view bytes) {
  static const int spool_place = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  UnpackOptions options;
  options.max_size = 16 << 20;
  options.max_files = 10000;
  InputWatch watch;
  MemberLister lister([](const Member& m) { (void)listing_line(m); });
  static Input input;
  input.stream = Descriptor(dup(memory_file(bytes)));
  Extraction(input, spool_place, options, ModeRules{}, watch).inspect(lister);
}

/// The document stands where a manifest is looked for; every other name leads to it too,
/// so that references resolve.
class OneDocument final : public Blobs {
 public:
  explicit OneDocument(std::string_view text) : range_{memory_file(text), 0, text.size()} {}
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
    return &range_;
  }

 private:
  FileRange range_;
};

void one_input(std::uint8_t kind, std::string_view rest) {
  InputWatch watch;
  switch (kind % 4) {
    case 0:
      any_archive(rest);
      return;
    case 1: {
      OneDocument document(rest);
      (void)read_docker_archive(document, "", watch);
      return;
    }
    case 2: {
      OneDocument document(rest);
      const UnpackOptions options;
      (void)OciLayout(document, options, watch).read();
      return;
    }
    default: {
      std::string path;
      normalize_member_path(rest, path);
      if (path.find("//") != std::string::npos || path.starts_with('/')) std::abort();
      if (path == ".." || path.starts_with("../") || path.find("/../") != std::string::npos)
        std::abort();
      (void)printable(rest);
      (void)parse_digest(rest);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try {
    one_input(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  } catch (const UnpackError&) {
  }
  return 0;
}
