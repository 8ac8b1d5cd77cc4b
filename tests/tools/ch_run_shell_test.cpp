// SPDX-License-Identifier: Apache-2.0
//
// The script of --explain=shell makes the container that ch-run makes, also where mount points
// and links have to be made for it; what a shell can't do it says.

#include "tests/support/ch_run.hpp"
#include "tests/support/require.hpp"

using test::contains;

namespace {

struct Scripts : test::ChRun {
  Scripts() {
    test::fs::create_directory(dir / "source");
    test::write_file(dir / "source/file", "text\n");
  }
  /// The script for `look` in a container with `options`.
  [[nodiscard]] std::string script_for(const std::string& look,
                                       std::vector<std::string> before) const {
    before.insert(before.begin(), "--explain=shell");
    return script(look, before).out;
  }
};

}  // namespace

TEST_CASE("the script makes missing mount points, links and copies as ch-run does", "[tool]") {
  const Scripts f;
  SKIP_UNLESS(
      test::run({"sh", "-c", "PATH=$PATH:/sbin:/usr/sbin; command -v unshare mount pivot_root"})
              .status == 0,
      "util-linux is not installed");
  const std::string source = f.dir / "source";
  const std::string look =
      "for p in /new /deep/er /new-file /copies/file; do test -e $p && find $p; done; "
      "cat /new-file /copies/file 2>&1; readlink /links/l; "
      "cat /tmp/in/file /home/in/file /home/copy 2>/dev/null; readlink /tmp/l; "
      "touch /x 2>/dev/null && echo writable; exit 9";
  const std::vector<std::vector<std::string>> all = {
      {"-b", source + ":/new"},
      {"-b", source + ":/new", "-b", source + ":/deep/er:ro", "-b", source + "/file:/new-file"},
      {"--copy=" + source + "/file:/copies/file", "--symlink=../new-file:/links/l"},
      {"--namespaces=pid", "-b", source + ":/new"},
      {"--no-home", "--no-passwd", "-b", source + "/file:/new-file"},
      {"-t", "-b", source + ":/tmp/in", "-b", source + "/file:/home/in/file", "--symlink=x:/tmp/l",
       "--copy=" + source + "/file:/home/copy"}};
  for (const auto& options : all)
    for (const std::string& layer : {std::string("--home"), std::string("-w"), std::string("-W"),
                                     "--overlay=" + f.dir.path().string() + "/layer"}) {
      const auto clear = [&] {
        for (const char* made : {"/new", "/deep", "/new-file", "/copies", "/links", "/x"})
          test::fs::remove_all(f.image + made);
        test::run(
            {"sh", "-c", "chmod -R u+rwX \"$0\" 2>/dev/null; rm -rf \"$0\"", f.dir / "layer"});
      };
      auto with = options;
      with.push_back(layer);
      const auto direct = f.script(look, with);
      clear();
      const std::string script = f.script_for(look, with);
      test::write_file(f.dir / "box.sh", script);
      const auto by_shell = test::run({"sh", f.dir / "box.sh"}, f.options);
      clear();
      INFO(script);
      INFO(by_shell.err);
      CHECK(direct.status == 9);
      CHECK(by_shell.status == 9);
      CHECK(by_shell.out == direct.out);
    }
}

TEST_CASE("what a script can't do is stated at that place", "[tool]") {
  const Scripts f;
  CHECK(contains(f.script_for("true", {"--seccomp"}),
                 "\n# A seccomp filter would be installed here"));
  CHECK(contains(f.script_for("true", {"--namespaces=pid"}),
                 "\n# The command becomes process 1: no shell is an init"));
  CHECK(contains(f.script_for("true", {"--join-ct=2", "--join-tag=x"}),
                 "\n# This is the creator's part."));
}
