// SPDX-License-Identifier: Apache-2.0
//
// Extended attributes, mainly of directories: these are made early, found again by later
// members and layers, and finished last.

#include <sys/xattr.h>

#include "tests/image/tool_fixture.hpp"

namespace {

using test::Layout;
using test::Tar;
using Fixture = test::ToolFixture;

using Attributes = std::map<std::string, std::string>;

Tar& with_attributes(Tar& tar, const Attributes& attributes) {
  std::vector<std::pair<std::string, std::string>> records;
  for (const auto& [name, value] : attributes) records.emplace_back("SCHILY.xattr." + name, value);
  tar.pax(records);
  return tar;
}

/// The user attributes of `path`.
Attributes attributes_of(const std::string& path) {
  Attributes found;
  char names[4096], value[256];
  const ssize_t size = listxattr(path.c_str(), names, sizeof names);
  REQUIRE(size >= 0);
  for (const char* name = names; name < names + size; name += std::strlen(name) + 1) {
    const ssize_t n = getxattr(path.c_str(), name, value, sizeof value);
    if (n >= 0 && std::string_view(name).starts_with("user."))
      found[name] = std::string(value, static_cast<std::size_t>(n));
  }
  return found;
}

bool has_attributes(const std::string& directory) {
  const bool has = setxattr(directory.c_str(), "user.try", "", 0, 0) == 0;
  if (has) removexattr(directory.c_str(), "user.try");
  return has;
}

}  // namespace

TEST_CASE("--xattrs keeps those of directories", "[image][tool]") {
  for (const char* how : {"--contain=always", "--contain=never"}) {
    const Fixture f;
    SKIP_UNLESS(has_attributes(f.dir / "at"), "this file system has no user attributes");
    Tar tar;
    with_attributes(tar, {{"user.root", "r"}, {"security.x", "no"}}).dir("./");
    with_attributes(tar, {{"user.a", "1"}, {"user.b", std::string("\0\n", 2)}}).dir("usr/");
    with_attributes(tar, {{"user.closed", "c"}}).dir("usr/closed/", 0500);
    tar.file("usr/closed/f", "x");
    with_attributes(tar, {{"user.first", "1"}}).dir("twice/");
    with_attributes(tar, {{"user.second", "2"}}).dir("twice/");
    with_attributes(tar, {{"user.first", "1"}}).dir("bare/");
    tar.dir("bare/");
    with_attributes(tar, {{"user.below", "1"}}).dir("unannounced/below/");
    test::write_file(f.archive, tar.bytes());
    REQUIRE(f.unpack({how, "--xattrs"}).status == 0);
    CAPTURE(how);
    CHECK(attributes_of(f.image) == Attributes{{"user.root", "r"}});
    CHECK(attributes_of(f.image + "/usr") ==
          Attributes{{"user.a", "1"}, {"user.b", std::string("\0\n", 2)}});
    CHECK(attributes_of(f.image + "/usr/closed") == Attributes{{"user.closed", "c"}});
    CHECK(attributes_of(f.image + "/twice") == Attributes{{"user.second", "2"}});
    CHECK(attributes_of(f.image + "/bare").empty());
    CHECK(attributes_of(f.image + "/unannounced").empty());
    CHECK(attributes_of(f.image + "/unannounced/below") == Attributes{{"user.below", "1"}});

    REQUIRE(f.unpack({how}).status == 0);
    for (const char* name : {"", "/usr", "/twice", "/unannounced/below"})
      CHECK(attributes_of(f.image + name).empty());
  }
}

TEST_CASE("of a directory in several layers, the last one's attributes count", "[image][tool]") {
  const Fixture f;
  SKIP_UNLESS(has_attributes(f.dir / "at"), "this file system has no user attributes");
  Tar lower, upper;
  for (const char* name : {"both/", "bare/", "untouched/", "opaque/", "anew/"})
    with_attributes(lower, {{"user.lower", "1"}, {"user.value", "old"}}).dir(name);
  lower.dir("file");  // a directory that becomes a file
  with_attributes(lower, {{"user.lower", "1"}}).dir("file/below/");
  lower.symlink("link", "both").file("becomes", "a directory");
  with_attributes(upper, {{"user.upper", "2"}, {"user.value", "new"}}).dir("both/");
  upper.dir("bare/").file("untouched/f", "x").file("opaque/.wh..wh..opq", "").file(".wh.anew", "");
  upper.file("file", "now a file");
  with_attributes(upper, {{"user.upper", "2"}}).dir("link/");
  with_attributes(upper, {{"user.upper", "2"}}).dir("becomes/");
  for (const Layout layout : {Layout::docker_new, Layout::oci}) {
    test::write_file(f.archive,
                     test::image_archive({{lower.bytes(), upper.bytes()}, "none", {}}, layout));
    const test::Ran ran = f.unpack({"--xattrs"});
    CAPTURE(ran.err);
    REQUIRE(ran.status == 0);
    const Attributes old{{"user.lower", "1"}, {"user.value", "old"}};
    CHECK(attributes_of(f.image + "/both") ==
          Attributes{{"user.upper", "2"}, {"user.value", "new"}});
    CHECK(attributes_of(f.image + "/bare").empty());
    CHECK(attributes_of(f.image + "/untouched") == old);
    CHECK(attributes_of(f.image + "/opaque") == old);
    CHECK_FALSE(std::filesystem::exists(f.image + "/anew"));
    CHECK(attributes_of(f.image + "/link") == Attributes{{"user.upper", "2"}});
    CHECK(attributes_of(f.image + "/becomes") == Attributes{{"user.upper", "2"}});
  }
}
