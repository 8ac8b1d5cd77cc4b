// SPDX-License-Identifier: Apache-2.0
//
// Images of several layers: the rules of the OCI specification, in any order inside a
// layer, for docker archives and OCI layouts alike; digests; names; platforms.

#include "tests/image/image_archives.hpp"

namespace {

using namespace ch::images;
using test::compress;
using test::content;
using test::failure_of;
using test::ImageRecipe;
using test::Json;
using test::Layout;
using test::Tar;
using test::TempDir;
using test::unpack_bytes;
namespace fs = std::filesystem;

const Layout layouts[] = {Layout::docker_old, Layout::docker_new, Layout::oci};

/// Unpacks these layers as an OCI archive and hands the image to `look`.
template <class Look>
void with_layers(const std::vector<Tar>& layers, Look&& look) {
  ImageRecipe recipe;
  for (const Tar& layer : layers) recipe.layers.push_back(layer.bytes());
  const TempDir dir;
  unpack_bytes(test::image_archive(recipe, Layout::oci), dir / "i");
  look(dir / "i");
}

Tar base() {
  Tar tar;
  tar.dir("a/").file("a/one", "1").file("a/two", "2").dir("a/sub/").file("a/sub/x", "x");
  tar.file("b", "b").symlink("link", "a");
  return tar;
}

}  // namespace

TEST_CASE("layers apply in order, in every kind of archive and compression", "[image][tool]") {
  Tar upper;
  upper.file("a/one", "new").file("a/.wh.two", "").file("c", "c");
  for (const Layout layout : layouts)
    for (const std::string& filter : test::all_filters()) {
      if (filter == "lzma") continue;  // not used for layers
      CAPTURE(static_cast<int>(layout), filter);
      const TempDir dir;
      ImageRecipe recipe{{base().bytes(), upper.bytes()}, filter, {}};
      const UnpackReport report = unpack_bytes(test::image_archive(recipe, layout), dir / "i");
      CHECK(content(dir / "i/a/one") == "new");
      CHECK(content(dir / "i/a/two") == "(none)");
      CHECK(content(dir / "i/a/sub/x") == "x");
      CHECK(content(dir / "i/c") == "c");
      CHECK(report.layers == 2);
      CHECK(report.image_name == recipe.name);
    }
}

TEST_CASE("the outer archive may be compressed, too, and come through a pipe", "[image][tool]") {
  for (const Layout layout : layouts)
    for (const std::string& filter : test::all_filters()) {
      CAPTURE(static_cast<int>(layout), filter);
      const TempDir dir;
      const std::string bytes =
          compress(test::image_archive({{base().bytes()}, "none", {}}, layout), filter);
      int ends[2];
      REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
      std::thread writer([&, out = ch::io::Descriptor(ends[1])] {
        for (std::size_t at = 0; at < bytes.size();) {
          const ssize_t n = write(out.get(), bytes.data() + at, bytes.size() - at);
          if (n <= 0) return;
          at += static_cast<std::size_t>(n);
        }
      });
      Input in{ch::io::Descriptor(ends[0]), {}};
      UnpackOptions options = test::uncontained();
      options.sync = Sync::none;
      AtomicDirectory directory((dir / "i").string(), Replace::images_only);
      unpack(in, directory, options);
      writer.join();
      CHECK(content(dir / "i/a/sub/x") == "x");
    }
}

TEST_CASE("the configuration is kept for ch-run", "[image][tool]") {
  const TempDir dir;
  const ImageRecipe recipe{{base().bytes()}, "none", {}};
  unpack_bytes(test::image_archive(recipe, Layout::docker_new), dir / "i");
  CHECK(content(dir / "i/ch/environment") == "PATH=/bin:/usr/bin\nQUOTED=''x''\nEMPTY=\n");
  CHECK(Json::parse(content(dir / "i/ch/config.json")) == test::config_for(recipe.layers));
  const std::string process = content(dir / "i/ch/process");
  CHECK(process == std::string("directory=/srv\0cmd=/bin/sh\0cmd=-l\0", 34));
}

TEST_CASE("variables that don't fit on a line are left out, with a note", "[image][tool]") {
  const TempDir dir;
  ImageRecipe recipe{{base().bytes()}, "none", {}};
  recipe.config = test::config_for(recipe.layers);
  recipe.config["config"]["Env"] = {"GOOD=1", "BAD=a\nb", "NOVALUE", "=x", 7};
  const UnpackReport report =
      unpack_bytes(test::image_archive(recipe, Layout::docker_new), dir / "i");
  CHECK(content(dir / "i/ch/environment") == "GOOD=1\n");
  CHECK(report.notes.size() == 3);
}

TEST_CASE("a whiteout hides what lower layers have, wherever it stands", "[image][tool]") {
  Tar before, after;
  before.file(".wh.a", "").dir("a/").file("a/new", "n");
  after.dir("a/").file("a/new", "n").file(".wh.a", "");
  for (const Tar& upper : {before, after})
    with_layers({base(), upper}, [](const fs::path& image) {
      CHECK(content(image / "a/new") == "n");
      CHECK(content(image / "a/one") == "(none)");
      CHECK(content(image / "a/sub/x") == "(none)");
      CHECK(content(image / "b") == "b");
    });
}

TEST_CASE("a file and a whiteout of the same name: the file of this layer stays", "[image][tool]") {
  Tar before, after;
  before.file(".wh.b", "").file("b", "new");
  after.file("b", "new").file(".wh.b", "");
  for (const Tar& upper : {before, after})
    with_layers({base(), upper},
                [](const fs::path& image) { CHECK(content(image / "b") == "new"); });
}

TEST_CASE("an opaque directory shows only what its layer has, wherever the mark stands",
          "[image][tool]") {
  Tar first, last, implicit;
  first.dir("a/").file("a/.wh..wh..opq", "").file("a/new", "n").file("a/sub/y", "y");
  last.dir("a/").file("a/new", "n").file("a/sub/y", "y").file("a/.wh..wh..opq", "");
  implicit.file("a/new", "n").file("a/sub/y", "y").file("a/.wh..wh..opq", "");
  for (const Tar& upper : {first, last, implicit})
    with_layers({base(), upper}, [](const fs::path& image) {
      CHECK(content(image / "a/new") == "n");
      CHECK(content(image / "a/sub/y") == "y");
      CHECK(content(image / "a/sub/x") == "(none)");
      CHECK(content(image / "a/one") == "(none)");
    });
}

TEST_CASE("an opaque root, and whiteouts of what is not there", "[image][tool]") {
  Tar upper;
  upper.file(".wh..wh..opq", "").file("c", "c").file(".wh.nothing", "").file("x/y/.wh.z", "");
  with_layers({base(), upper}, [](const fs::path& image) {
    CHECK(content(image / "c") == "c");
    CHECK_FALSE(fs::exists(image / "a"));
    CHECK_FALSE(fs::exists(image / "b"));
  });
}

TEST_CASE("an upper layer can change the kind of what it replaces", "[image][tool]") {
  Tar upper;
  upper.file("a", "now a file").dir("b/").file("b/in", "i").symlink("c", "b");
  with_layers({base().file("c/deep/file", "f"), upper}, [](const fs::path& image) {
    CHECK(content(image / "a") == "now a file");
    CHECK(content(image / "b/in") == "i");
    CHECK(fs::read_symlink(image / "c") == "b");
  });
}

TEST_CASE("a directory replaces a link of a lower layer instead of going through it",
          "[image][tool]") {
  Tar upper;
  upper.dir("link/").file("link/in", "i");
  with_layers({base(), upper}, [](const fs::path& image) {
    CHECK_FALSE(fs::is_symlink(image / "link"));
    CHECK(content(image / "link/in") == "i");
    CHECK(content(image / "a/in") == "(none)");
  });
}

TEST_CASE("a member below a link of a lower layer goes where the link leads in the image",
          "[image][tool]") {
  Tar lower = base();
  lower.symlink("absolute", "/a/sub");
  Tar upper;
  upper.file("link/in", "i").file("absolute/in", "j");
  with_layers({lower, upper}, [](const fs::path& image) {
    CHECK(fs::is_symlink(image / "link"));
    CHECK(content(image / "a/in") == "i");
    CHECK(content(image / "a/sub/in") == "j");
  });
}

TEST_CASE("replacing a file leaves its other names alone", "[image][tool]") {
  Tar lower, upper;
  lower.file("f", "old").hard_link("g", "f");
  upper.file("f", "new");
  with_layers({lower, upper}, [](const fs::path& image) {
    CHECK(content(image / "f") == "new");
    CHECK(content(image / "g") == "old");
  });
}

TEST_CASE("hard links within and across layers", "[image][tool]") {
  Tar upper;
  upper.hard_link("from-lower", "b").file("own", "o").hard_link("from-own", "own");
  upper.file(".wh.b", "");  // the name goes, the file stays under its new one
  with_layers({base(), upper}, [](const fs::path& image) {
    CHECK(content(image / "from-lower") == "b");
    CHECK(content(image / "b") == "(none)");
    CHECK(content(image / "from-own") == "o");
    CHECK(fs::hard_link_count(image / "own") == 2);
  });
}

TEST_CASE("odd whiteouts are refused or do nothing", "[image][tool]") {
  for (const char* name : {".wh.", ".wh..", ".wh...", "a/.wh.", ".wh.a/file", "a/.wh.sub/x"}) {
    Tar upper;
    upper.file(name, "");
    CAPTURE(name);
    CHECK(failure_of([&] { with_layers({base(), upper}, [](const fs::path&) {}); }));
  }
  for (const char* name : {".wh..wh.plnk", ".wh..wh.aufs", "a/.wh..wh.x"}) {
    Tar upper;
    upper.file(name, "");
    CAPTURE(name);
    with_layers({base(), upper}, [](const fs::path& image) {
      CHECK(content(image / "a/one") == "1");
      for (const auto& entry : fs::directory_iterator(image))
        CHECK(entry.path().filename().string().substr(0, 4) != ".wh.");
    });
  }
}

TEST_CASE("in a plain tar .wh. is a name like any other", "[image][tool]") {
  const TempDir dir;
  unpack_bytes(base().file(".wh.a", "w").bytes(), dir / "i");
  CHECK(content(dir / "i/.wh.a") == "w");
  CHECK(content(dir / "i/a/one") == "1");
}

TEST_CASE("wrong digests and sizes are refused before the image gets its name", "[image][tool]") {
  std::size_t cases = 0;
  const auto refused = [&cases](const std::map<std::string, std::string>& parts, const char* what) {
    const TempDir dir;
    CAPTURE(what);
    const auto failure = failure_of([&] { unpack_bytes(test::archive_of(parts), dir / "i"); });
    REQUIRE(failure);
    CHECK(failure->reason() != ch::io::Reason::system);
    CHECK(fs::is_empty(dir.path()));
    ++cases;
  };
  const ImageRecipe recipe{{base().bytes()}, "gzip", {}};
  ImageRecipe wrong = recipe;  // a diff_id that is not the layer's
  wrong.config = test::config_for({"something else"});
  ImageRecipe more = recipe;  // more diff_ids than layers
  more.config = test::config_for({recipe.layers[0], "x"});
  for (const Layout layout : layouts) {
    refused(test::image_parts(wrong, layout), "diff_id");
    refused(test::image_parts(more, layout), "number of diff_ids");
    // Each part in turn: altered (its name or whoever refers to it states the digest),
    // cut, and missing.
    const auto parts = test::image_parts(recipe, layout);
    for (const auto& [name, text] : parts) {
      if (name == "oci-layout" || name == "index.json" || name == "manifest.json") continue;
      auto altered = parts;
      altered[name][text.size() / 2] = static_cast<char>(text[text.size() / 2] ^ 1);
      refused(altered, name.c_str());
      altered[name] = text.substr(0, text.size() - 1);
      refused(altered, name.c_str());
      altered.erase(name);
      refused(altered, name.c_str());
    }
  }
  CHECK(cases >= 24);
}

TEST_CASE("documents that are not JSON, or have the wrong structure, are refused",
          "[image][tool]") {
  for (const std::string& document :
       {std::string(), std::string("{"), std::string("[]"), std::string("[{}]"),
        std::string("null"), std::string("[7]"), std::string(R"([{"Config":7,"Layers":[]}])"),
        std::string(R"([{"Config":"../../etc/passwd","Layers":[]}])"),
        std::string(R"([{"Config":"/etc/passwd","Layers":["/etc/passwd"]}])"),
        std::string(100000, '[')}) {
    Tar docker;
    docker.file("manifest.json", document);
    Tar oci;
    oci.file("oci-layout", R"({"imageLayoutVersion":"1.0.0"})").file("index.json", document);
    for (const std::string& bytes : {docker.bytes(), oci.bytes()}) {
      const TempDir dir;
      CAPTURE(document.substr(0, 60));
      CHECK(failure_of([&] { unpack_bytes(bytes, dir / "i"); }));
      CHECK(fs::is_empty(dir.path()));
    }
  }
}

TEST_CASE("digests that would name other files are refused", "[image][tool]") {
  for (const char* digest :
       {"sha256:../../../etc/passwd", "sha256:", "md5:00", "sha256:ABCDEF", "../x",
        "sha256:0000000000000000000000000000000000000000000000000000000000000000/x"}) {
    Tar oci;
    oci.file("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    oci.file("index.json", Json({{"manifests",
                                  {{{"mediaType", "application/vnd.oci.image.manifest.v1+json"},
                                    {"digest", digest},
                                    {"size", 1}}}}})
                               .dump());
    const TempDir dir;
    CAPTURE(digest);
    CHECK(failure_of([&] { unpack_bytes(oci.bytes(), dir / "i"); }));
  }
}

TEST_CASE("a document that is an index and a manifest at once is refused", "[image][tool]") {
  auto parts = test::image_parts({{base().bytes()}, "none", {}}, Layout::oci);
  Json index = Json::parse(parts["index.json"]);
  index["layers"] = Json::array();
  parts["index.json"] = index.dump();
  const TempDir dir;
  const auto failure = failure_of([&] { unpack_bytes(test::archive_of(parts), dir / "i"); });
  REQUIRE(failure);
  CHECK(failure->reason() == ch::io::Reason::hostile);
}

TEST_CASE("of several images one is chosen by name", "[image][tool]") {
  Tar first, second;
  first.file("which", "first");
  second.file("which", "second");
  auto parts = test::image_parts({{first.bytes()}, "none", {}, "app:1"}, Layout::docker_new);
  const auto more =
      test::image_parts({{second.bytes()}, "none", {}, "app:latest"}, Layout::docker_new);
  Json list = Json::parse(parts["manifest.json"]);
  list.push_back(Json::parse(more.at("manifest.json"))[0]);
  parts.insert(more.begin(), more.end());
  parts["manifest.json"] = list.dump();
  const TempDir dir;
  const auto choose = [&](const std::string& name) {
    UnpackOptions options;
    options.image_name = name;
    unpack_bytes(test::archive_of(parts), dir / "i", options);
    return content(dir / "i/which");
  };
  CHECK(choose("app:1") == "first");
  CHECK(choose("app") == "second");  // the tag that is meant without one
  const auto none = failure_of([&] { choose("other"); });
  REQUIRE(none);
  CHECK(std::string(none->what()).find("app:1, app:latest") != std::string::npos);
  const auto ambiguous = failure_of([&] { choose(""); });
  REQUIRE(ambiguous);
  CHECK(ambiguous->kind() == ch::Remedy::choose_image);
}

TEST_CASE("nested indexes lead to the image for the requested platform", "[image][tool]") {
  Tar arm, intel;
  arm.file("which", "arm64");
  intel.file("which", "amd64");
  std::map<std::string, std::string> parts;
  Json inner = {{"manifests", Json::array()}};
  for (const auto& [tar, architecture] : {std::pair(&arm, "arm64"), std::pair(&intel, "amd64")}) {
    ImageRecipe recipe{{tar->bytes()}, "gzip", {}};
    recipe.config = test::config_for(recipe.layers);
    recipe.config["architecture"] = architecture;
    const auto one = test::image_parts(recipe, Layout::oci);
    Json entry = Json::parse(one.at("index.json"))["manifests"][0];
    entry.erase("annotations");
    entry["platform"] = {{"os", "linux"}, {"architecture", architecture}};
    inner["manifests"].push_back(entry);
    parts.insert(one.begin(), one.end());
  }
  Json outer = test::add_blob(parts, inner.dump(), "application/vnd.oci.image.index.v1+json");
  outer["annotations"] = {{"org.opencontainers.image.ref.name", "app:1"}};
  parts["index.json"] = Json({{"manifests", {outer}}}).dump();
  for (const std::string architecture : {"arm64", "amd64"}) {
    UnpackOptions options;
    options.platform.architecture = architecture;
    const TempDir dir;
    unpack_bytes(test::archive_of(parts), dir / "i", options);
    CHECK(content(dir / "i/which") == architecture);
  }
  UnpackOptions options;
  options.platform.architecture = "riscv64";
  const TempDir dir;
  const auto failure =
      failure_of([&] { unpack_bytes(test::archive_of(parts), dir / "i", options); });
  REQUIRE(failure);
  CHECK(std::string(failure->what()).find("linux/arm64, linux/amd64") != std::string::npos);
}

TEST_CASE("an OCI layout may be a directory, links in it are not followed", "[image][tool]") {
  const TempDir dir;
  const auto parts = test::image_parts({{base().bytes()}, "gzip", {}}, Layout::oci);
  fs::create_directories(dir / "layout/blobs/sha256");
  for (const auto& [name, text] : parts) test::write_file(dir / ("layout/" + name), text);
  const auto unpack_layout = [&] {
    Input input = open_input((dir / "layout").string());
    AtomicDirectory directory((dir / "i").string(), Replace::images_only);
    UnpackOptions options;
    options.sync = Sync::none;
    unpack(input, directory, options);
  };
  unpack_layout();
  CHECK(content(dir / "i/a/one") == "1");
  fs::rename(dir / "layout/blobs", dir / "elsewhere");
  fs::create_symlink("../elsewhere", dir / "layout/blobs");
  CHECK(failure_of(unpack_layout));
}
