// SPDX-License-Identifier: Apache-2.0
//
// What boxes own and what their plans say. Nothing is executed.

#include "ch/run.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <sstream>

#include "tests/support/files.hpp"

using namespace ch;

namespace {

const HostFacts facts{.uid = Uid{1000}, .gid = Gid{100}, .kernel = {6, 18}};
const char* const no_variables[] = {nullptr};
const char* const true_words[] = {"true", nullptr};

template <class B>
std::string plan_text(const B& box) {
  ArenaOf<std::size_t{256} * 1024> arena;
  const auto plan = box.plan(facts, Request{true_words, no_variables}, arena);
  if (!plan) return plan.error().text();
  std::string all;
  print_text(*plan, [&](std::string_view line) { all.append(line.substr(4)); });
  return all;
}

struct Lustre {
  void contribute(PlanBuilder& b, const PlanContext&) const noexcept {
    b.bind("/lustre", "/lustre", if_both_exist);
  }
};

}  // namespace

TEST_CASE("values compose in any order to the same plan", "[pure]") {
  const auto a = compose(image("/img"), devices, Lustre{}, ch::bind("/a", "/mnt/0"), as_root);
  const auto b = compose(as_root, ch::bind("/a", "/mnt/0"), Lustre{}, devices, image("/img"));
  const std::string text = plan_text(a);
  CHECK(text.find("open image /img, read-only\n") != std::string::npos);
  CHECK(text.find("map uid 0 inside to 1000 outside\n") != std::string::npos);
  // Contributors without an order of their own stay as given.
  CHECK(plan_text(compose(ch::bind("/a", "/mnt/0"), as_root, devices, Lustre{}, image("/img"))) ==
        text);
  CHECK(plan_text(b).find("bind /lustre on /lustre, if both exist\n") != std::string::npos);
}

TEST_CASE("binds, links and files of any number are one list each, in the order given", "[pure]") {
  const auto box = compose(ch::bind("/a", "/mnt/0"), ch::link("x", "/l1"), image("/img"),
                           ch::bind("/b", "/mnt/1", Access::read_only), file("12345", "/f"),
                           ch::bind("/c", "/mnt/0"), ch::link("y", "/l2"));
  const std::string text = plan_text(box);
  CHECK(text.find("bind /a on /mnt/0\nbind /b on /mnt/1, read-only\nbind /c on /mnt/0\n") !=
        std::string::npos);
  CHECK(text.find("link /l1 to x\nlink /l2 to y\n") != std::string::npos);
  CHECK(text.find(", 5 bytes\n") != std::string::npos);
}

TEST_CASE("a box owns its strings: the originals may go away, and copies are independent",
          "[pure]") {
  std::optional<HostIntegratedBox> integrated;
  using Composed = decltype(compose(image("/img"), ch::bind("/a", "/b")));
  std::optional<Composed> composed;
  {
    std::string where = std::filesystem::path("/a/long/path/that/no/small/string/holds") / "image";
    auto original = compose(image(where), ch::bind(where + "/in", where + "/out"));
    composed = original;
    integrated = host_integrated(std::filesystem::path(where), ch::bind(where));
    where.assign(where.size(), 'x');
    original = compose(image("/other"), ch::bind("/a", "/b"));
  }
  CHECK(plan_text(*composed).find("/a/long/path/that/no/small/string/holds/image, read-only\n") !=
        std::string::npos);
  CHECK(plan_text(*composed).find("holds/image/in on /a/long") != std::string::npos);
  CHECK(plan_text(*integrated).find("open image /a/long/path/that/no/small/string/holds/image") !=
        std::string::npos);
}

TEST_CASE("a null or empty path is refused with an explanation", "[pure]") {
  const char* const null = nullptr;
  for (const auto& given : {Given(null), Given(""), Given(std::string())}) {
    CHECK(plan_text(compose(image(given), devices)).find("the image's path is empty") !=
          std::string::npos);
    CHECK(plan_text(host_integrated(given)).find("the image's path is empty") != std::string::npos);
    CHECK(plan_text(compose(image("/img"), ch::bind(given, "/mnt/0")))
              .find("source of a bind is empty") != std::string::npos);
    CHECK(plan_text(host_integrated("/img", ch::bind("/a", given))).find("a destination is") !=
          std::string::npos);
  }
}

TEST_CASE("a text with a NUL inside is refused, not ignored", "[pure]") {
  const std::string cut("box\0x", 5);
  const std::string size("64m\0x", 5);
  for (const std::string& text : {plan_text(host_integrated("/img", also<ns::uts>, hostname(cut))),
                                  plan_text(compose(image("/img"), also<ns::uts>, hostname(cut))),
                                  plan_text(host_integrated("/img", changes_in_memory(size))),
                                  plan_text(compose(image("/img"), changes_in_memory(size)))})
    CHECK(text.find("NUL") != std::string::npos);
}

TEST_CASE("host_integrated plans what its values describe", "[pure]") {
  const auto box = host_integrated("/img", ch::bind("/scratch"), as_root, private_tmp,
                                   also<ns::uts>, hostname("box"), changes_in_memory("64m"));
  const std::string text = plan_text(box);
  for (const char* line :
       {"make namespaces: user, mnt, uts\n", "map uid 0 inside to 1000 outside\n",
        "bind /scratch on /scratch\n", "mount a new tmpfs on /tmp\n", "set the host name to box\n",
        "overlay the image with the tmpfs, writable\n", "size 64m\n"})
    CHECK(text.find(line) != std::string::npos);
}

TEST_CASE("options that make no environment are refused, and a larger one gets its room",
          "[pure]") {
  const auto box = compose(image("/img"), devices);
  const std::vector<InnerEdit> wrong{{{EditKind::set_assignment, "no delimiter"}}};
  ArenaOf<std::size_t{256} * 1024> arena;
  const auto refused = box.plan(facts, Request{true_words, no_variables, wrong}, arena);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().attempted == "make the program's environment");
  CHECK(refused.error().cause.find("no delimiter") != std::string::npos);

  // 2 MiB of variables: more than the first arena has.
  std::vector<std::string> texts(64, "A=" + std::string(32 * 1024, 'x'));
  std::vector<const char*> variables;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    texts[i].insert(1, std::to_string(i));
    variables.push_back(texts[i].c_str());
  }
  variables.push_back(nullptr);
  const std::vector<InnerEdit> many(40, {{EditKind::set_assignment, texts[0]}});
  const Request request{true_words, variables.data(), many};
  const auto planned = detail::with_plan(
      box, request,
      [](const Plan& plan, Arena&) -> Outcome<std::size_t> { return plan.steps.size(); });
  CHECK(planned);
}

TEST_CASE("a failure prints all its fields, also to a stream", "[pure]") {
  const Failure failure{Errno::enoent,
                        kernel::Call::openat2,
                        FailedPart::program,
                        Remedy::as_worded,
                        "bind",
                        "/x",
                        "there is nothing",
                        "look"};
  std::ostringstream out;
  out << failure;
  CHECK(out.str() ==
        "can't bind /x: No such file or directory (ENOENT) from openat2\ncause: there is nothing\n"
        "remedy: look");
  CHECK(failure.exit_status() == 49);
  CHECK(Failure{}.exit_status() == 31);
}

TEST_CASE("durations convert from any chrono duration", "[pure]") {
  using namespace std::chrono_literals;
  CHECK(Duration(5s).nanoseconds == 5'000'000'000);
  CHECK(Duration(1.5ms).nanoseconds == 1'500'000);
  CHECK(Duration(std::chrono::duration<double, std::pico>(1.0)).nanoseconds == 1);
  CHECK(Duration(std::chrono::hours(1'000'000'000)).nanoseconds > 0);
  CHECK(Duration(-1s).nanoseconds == -1'000'000'000);
}

TEST_CASE("a group without processes or with an invalid tag is refused, also for one process",
          "[pure]") {
  for (const auto& [group, why] :
       {std::pair(peers("job", 0), "a group has at least one process"),
        std::pair(peers("", 1), "a group's tag has 1 to 64 visible ASCII characters"),
        std::pair(peers("a b", 1), "a group's tag has 1 to 64 visible ASCII characters"),
        std::pair(peers(std::string(65, 'x'), 2), "a group's tag has 1 to 64")}) {
    for (const std::string& told : {plan_text(compose(image("/img"), group)),
                                    plan_text(host_integrated(image("/img"), group))}) {
      CHECK(told.find("can't plan a container for peers: Invalid argument (EINVAL)") == 0);
      CHECK(told.find(why) != std::string::npos);
      CHECK(told.find("remedy: ") != std::string::npos);
    }
  }
  CHECK(plan_text(compose(image("/img"), peers("job", 1))).find("can't") == std::string::npos);
}

TEST_CASE("a descriptor that is no directory is refused as an image", "[pure]") {
  const detail::Pipe pipe = detail::make_pipe();
  const std::string told = plan_text(compose(image(pipe.from.kernel_fd())));
  CHECK(told.find("as an image: Not a directory (ENOTDIR)\ncause: it is open on something else") !=
        std::string::npos);
  CHECK(plan_text(host_integrated(image(pipe.from.kernel_fd()))).find("something else") !=
        std::string::npos);
  CHECK(plan_text(compose(image(Fd{987})))
            .find("can't use descriptor 987 as an image: Bad file "
                  "descriptor (EBADF)") == 0);
}

TEST_CASE("a descriptor to keep that is not open is refused", "[pure]") {
  const auto end = run(host, {"true"}, {.descriptors = {0, 987}});
  REQUIRE_FALSE(end);
  CHECK(end.error().text() ==
        "can't keep descriptor 987 open: Bad file descriptor (EBADF)\n"
        "cause: no open descriptor has this number\nremedy: open it first, or leave it out");
}

TEST_CASE("with root emulation, packages are installed with the image's own accounts", "[pure]") {
  const test::TempDir dir;
  test::fs::create_directory(dir / "etc");
  const auto text = [&](const auto&... values) {
    return plan_text(host_integrated(image(dir.path()), values...));
  };
  const std::string without = text(as_root, emulate_root, changes_in_memory());
  CHECK(without.find("/etc/passwd") != std::string::npos);  // it has none
  test::write_file(dir / "etc/passwd", "root:x:0:0::/root:/bin/sh\n");
  const std::string full = text(as_root, emulate_root, changes_in_memory());
  CHECK(full.find("install a seccomp filter") != std::string::npos);
  CHECK(full.find("/etc/passwd") == std::string::npos);
  for (const std::string& other : {text(emulate_root, changes_in_memory(), ch::ids(Uid{7}, Gid{7})),
                                   text(as_root, emulate_root), text(as_root, changes_in_memory())})
    CHECK(other.find("/etc/passwd") != std::string::npos);
}
