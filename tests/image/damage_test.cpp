// SPDX-License-Identifier: Apache-2.0
//
// Input that is truncated or altered is refused, whatever the compression: cut at every byte,
// every bit flipped. Read by the library in this process; nothing is written to disk.

#include <catch2/catch.hpp>

#include "ch/image/listing.hpp"
#include "ch/image/member_lister.hpp"
#include "tests/image/tar_builder.hpp"

namespace {

using namespace ch::images;
using test::Tar;

/// Everything an archive says: names, modes, content. Throws ch::io::Failed.
std::string reading(const std::string& bytes) {
  Compression compression = Compression::none;
  BlockStream stream(decompress(std::make_unique<MemorySource>(bytes), compression));
  ArchiveReader reader(stream, Xattrs::drop);
  std::string all;
  Member m;
  Piece piece;
  while (reader.next(m)) {
    all += listing_line(m) + '\n';
    if (m.kind != MemberKind::file) continue;
    while (reader.content(piece)) all.append(piece.bytes.data(), piece.bytes.size());
  }
  stream.finish();
  return all;
}

/// Overwrites the stack below the caller, so that nothing there is left from earlier calls.
[[gnu::noinline]] void spoil_stack() {
  volatile char garbage[16 * 1024];
  for (volatile char& c : garbage) c = '\xff';
}

/// The first bytes of a text one by one, the others at once.
class Dribble final : public ByteSource {
 public:
  Dribble(std::string text, std::size_t slow) : text_(std::move(text)), slow_(slow) {}
  std::size_t read(std::span<char> out) override {
    spoil_stack();
    const std::size_t left = text_.size() - at_;
    const std::size_t n = std::min({out.size(), left, at_ < slow_ ? 1 : left});
    text_.copy(out.data(), n, at_);
    at_ += n;
    return n;
  }

 private:
  std::string text_;
  std::size_t slow_;
  std::size_t at_ = 0;
};

Tar small_tar() {
  Tar tar;
  tar.dir("etc/").file("etc/motd", "hello, world\n").symlink("etc/link", "motd");
  tar.hard_link("etc/again", "etc/motd").file("big", std::string(1500, 'x') + "end");
  return tar;
}

/// As `xz -T --block-size=2KiB` writes it: blocks that several threads can read.
std::string xz_in_blocks(const std::string& text) {
  lzma_stream stream = LZMA_STREAM_INIT;
  lzma_mt options{};
  options.threads = 2;
  options.block_size = 2048;
  options.preset = 1;
  options.check = LZMA_CHECK_CRC64;
  REQUIRE(lzma_stream_encoder_mt(&stream, &options) == LZMA_OK);
  std::string out(text.size() * 2 + 65536, '\0');
  stream.next_in = reinterpret_cast<const std::uint8_t*>(text.data());
  stream.avail_in = text.size();
  stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
  stream.avail_out = out.size();
  REQUIRE(lzma_code(&stream, LZMA_FINISH) == LZMA_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  lzma_end(&stream);
  return out;
}

/// As `zstd` writes it (checksum 1), or libarchive (0).
std::string zstd(const std::string& text, int checksum) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum);
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress2(context, out.data(), out.size(), text.data(), text.size()));
  ZSTD_freeCCtx(context);
  return out;
}

}  // namespace

TEST_CASE("every compression is known by its content and read in full", "[image][pure]") {
  const std::string tar = small_tar().bytes();
  const std::string expected = reading(tar);
  CHECK(expected.find("hello, world") != std::string::npos);
  for (const std::string& filter : test::all_filters()) {
    CAPTURE(filter);
    CHECK(reading(test::compress(tar, filter)) == expected);
  }
}

TEST_CASE("truncation at any byte is noticed, in every compression", "[image][pure]") {
  const std::string tar = small_tar().bytes();
  std::vector<std::pair<std::string, std::string>> streams = {{"xz in blocks", xz_in_blocks(tar)},
                                                              {"zstd, checked", zstd(tar, 1)}};
  for (const std::string& filter : test::all_filters())
    streams.emplace_back(filter, test::compress(tar, filter));
  for (const auto& stream : streams) {
    const std::string& whole = stream.second;
    CAPTURE(stream.first, whole.size());
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const auto failure = test::failure_of([&] { reading(whole.substr(0, size)); });
      if (!failure) FAIL("accepted when cut to " << size);
      if (failure->cause().empty()) FAIL("silent when cut to " << size);
    }
  }
}

TEST_CASE("truncation in the zeros that pad a tar loses nothing and is accepted", "[image][pure]") {
  const std::string padded = small_tar().bytes() + std::string(9000, '\0');
  const std::string expected = reading(padded);
  for (std::size_t cut = 0; cut < 9000; cut += 100)
    CHECK(reading(padded.substr(0, padded.size() - cut)) == expected);
}

TEST_CASE("every flipped bit of a compressed tar is found, or changes nothing", "[image][pure]") {
  const std::string tar = small_tar().bytes();
  const std::string expected = reading(tar);
  // All that can carry a checksum of the content; lzma has none, zstd only if asked.
  const std::pair<std::string, std::string> streams[] = {
      {"gzip", test::compress(tar, "gzip")}, {"bzip2", test::compress(tar, "bzip2")},
      {"xz", test::compress(tar, "xz")},     {"xz in blocks", xz_in_blocks(tar)},
      {"lz4", test::compress(tar, "lz4")},   {"zstd", zstd(tar, 1)}};
  for (const auto& [filter, whole] : streams) {
    std::size_t found = 0, without_effect = 0;
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
      std::string altered = whole;
      altered[bit / 8] = static_cast<char>(altered[bit / 8] ^ (1 << bit % 8));
      std::string content;
      const auto failure = test::failure_of([&] { content = reading(altered); });
      if (failure) {
        ++found;
      } else {
        ++without_effect;
        if (content != expected) FAIL(filter << ": wrong content accepted, bit " << bit);
      }
    }
    CAPTURE(filter, found, without_effect);
    CHECK(found > whole.size() * 7);  // the rest are bits like gzip's time stamp
  }
}

TEST_CASE("zstd: frames may follow each other, other bytes may not", "[image][pure]") {
  const std::string tar = small_tar().bytes();
  const std::string expected = reading(tar);
  for (std::size_t at = 1; at < tar.size(); at += 97)
    CHECK(reading(zstd(tar.substr(0, at), 0) + zstd(tar.substr(at), 1)) == expected);
  const std::string skippable("\x50\x2a\x4d\x18\x03\0\0\0abc", 11);  // pzstd begins with one
  CHECK(reading(skippable + zstd(tar, 1) + skippable) == expected);
  for (const std::string& junk : {std::string("x"), std::string(5000, '\0'),
                                  std::string("junk junk junk"), zstd(tar, 1).substr(0, 3)}) {
    CAPTURE(junk);
    CHECK(test::failure_of([&] { reading(zstd(tar, 1) + junk); }));
  }
}

TEST_CASE("a zstd window beyond the bound on memory is refused", "[image][pure]") {
  // A frame header that asks for a window of 2 GiB (RFC 8878, 3.1.1.1.2).
  const auto failure =
      test::failure_of([] { reading(std::string("\x28\xb5\x2f\xfd\x00\xa8", 6) + "xxxxxx"); });
  REQUIRE(failure);
  CHECK(failure->reason() == ch::io::Reason::unsupported);
  CHECK(failure->remedy().find("--long") != std::string::npos);
}

TEST_CASE("xz may have blocks, consecutive streams, and padding", "[image][pure]") {
  Tar large;
  for (int i = 0; i < 200; ++i)
    large.file("f" + std::to_string(i), std::string(i * 53, static_cast<char>('a' + i % 26)));
  const std::string tar = large.bytes();
  const std::string expected = reading(tar);
  CHECK(reading(xz_in_blocks(tar)) == expected);
  const std::string two =
      xz_in_blocks(tar.substr(0, 5000)) + std::string(8, '\0') + xz_in_blocks(tar.substr(5000));
  CHECK(reading(two) == expected);
  CHECK(reading(two + std::string(4, '\0')) == expected);
  CHECK(test::failure_of([&] { reading(two + std::string(3, '\0')); }));
  CHECK(test::failure_of([&] { reading(two + "junk"); }));
}

TEST_CASE("gzip: a header with everything in it may come in pieces", "[image][pure]") {
  const std::string tar = small_tar().bytes();
  std::string gz = test::compress(tar, "gzip");
  REQUIRE(gz[3] == '\0');  // no optional part so far
  gz[3] = 0x04 | 0x08 | 0x10;
  gz.insert(10, std::string("\x05\0extra", 7) + std::string("name\0a comment\0", 15));
  for (const std::size_t first : {1, 2, 3, 9, 10, 11, 12, 16, 17, 18, 21, 22, 26, 31, 32, 33}) {
    CAPTURE(first);
    GzipSource source(std::make_unique<Dribble>(gz, first));
    std::string out(tar.size() + 1, '\0');
    std::size_t have = 0;
    while (const std::size_t n = source.read(std::span(out).subspan(have))) have += n;
    out.resize(have);
    CHECK(out == tar);
  }
}

TEST_CASE("gzip: members may follow each other, other bytes may not", "[image][pure]") {
  const std::string tar = small_tar().bytes();
  const std::string expected = reading(tar);
  const auto gz = [](const std::string& s) { return test::compress(s, "gzip"); };
  for (std::size_t at = 1; at < tar.size(); at += 37) {
    CAPTURE(at);
    CHECK(reading(gz(tar.substr(0, at)) + gz(tar.substr(at))) == expected);
  }
  CHECK(reading(gz(tar) + gz("")) == expected);
  CHECK(reading(gz(tar) + std::string(5000, '\0')) == expected);
  for (const std::string& junk : {std::string("x"), std::string("\x1f"), std::string("\x1f\x8b"),
                                  std::string("junk junk junk"), std::string("\0\0y", 3)}) {
    CAPTURE(junk);
    CHECK(test::failure_of([&] { reading(gz(tar) + junk); }));
  }
  CHECK(test::failure_of([&] { reading(gz(tar) + std::string(7, '\0') + gz(tar)); }));
}

TEST_CASE("a damaged header is an error, not a lost member", "[image][pure]") {
  const std::string tar = small_tar().bytes();
  const std::string expected = reading(tar);
  // Every byte of the second member's header that its checksum covers.
  for (std::size_t i = 512; i < 1024; ++i) {
    std::string altered = tar;
    altered[i] = static_cast<char>(altered[i] ^ 0x41);
    std::string content;
    const auto failure = test::failure_of([&] { content = reading(altered); });
    if (!failure && content != expected) FAIL("accepted with byte " << i << " altered");
  }
}

TEST_CASE("a tar without its end mark is refused", "[image][pure]") {
  const std::string open = small_tar().open_bytes();
  CHECK(test::failure_of([&] { reading(open); }));
  CHECK(test::failure_of([&] { reading(open + std::string(512, '\0')); }));
  CHECK_FALSE(test::failure_of([&] { reading(open + std::string(1024, '\0')); }));
}

TEST_CASE("other formats than tar are refused: text, zip, cpio, mtree, nothing", "[image][pure]") {
  for (const std::string& text :
       {std::string(), std::string("hello\n"), std::string(5000, 'x'),
        std::string("#mtree\n./a type=file\n"), "PK\x03\x04" + std::string(600, 'a'),
        "070701" + std::string(600, '0'), "!<arch>\n" + std::string(600, ' '),
        std::string("\x1f\x8b")}) {
    const auto failure = test::failure_of([&] { reading(text); });
    REQUIRE(failure);
    CHECK_FALSE(failure->cause().empty());
    for (const std::string& filter : test::all_filters())
      if (filter != "none" &&
          !(filter == "lz4" && text.empty()))  // libarchive crashes writing that
        CHECK(test::failure_of([&] { reading(test::compress(text, filter)); }));
  }
  CHECK(test::failure_of([&] {  // one layer of compression, not two
    reading(test::compress(test::compress(small_tar().bytes(), "gzip"), "gzip"));
  }));
}
