// SPDX-License-Identifier: Apache-2.0
//
// ch-fromhost and ch-device under small limits (ulimit), and where what they print or write
// is lost: they work, or end with one clear error; never by a signal, never as if all
// were well, and without half a file left behind.

#include <sys/resource.h>

#include "tests/inject/device_image.hpp"

using test::contains;
using test::DeviceImage;
using test::Ran;
namespace fs = std::filesystem;

namespace {

std::function<void()> limit(int what, rlim_t value) {
  return [=] {
    const rlimit both{value, value};
    if (setrlimit(static_cast<__rlimit_resource>(what), &both) != 0) _exit(99);
  };
}

std::function<void()> printing_to(const char* path) {
  return [path] {
    if (dup2(open(path, O_WRONLY | O_CLOEXEC), 1) != 1) _exit(99);
  };
}

void is_one_error(const Ran& ran, const std::string& cause) {
  INFO(ran.status << ' ' << ran.err);
  CHECK((ran.status == 1 || ran.status == 31));
  const auto at = ran.err.find(": error: ");
  CHECK(at != std::string::npos);
  CHECK(ran.err.find(": error: ", at + 1) == std::string::npos);
  CHECK(contains(ran.err, ": remedy: "));
  CHECK(contains(ran.err, cause));
}

}  // namespace

TEST_CASE("under small limits ch-fromhost and ch-device work, or end with one error",
          "[inject][tool]") {
  STATIC_TOOLS_ONLY();
  struct Limit {
    const char* name;
    int what;
    rlim_t value;
    const char* cause;  // nullptr: it works
  };
  for (const auto& [name, what, value, cause] :
       {Limit{"-s 32", RLIMIT_STACK, 32 * 1024, nullptr},
        Limit{"-v 33000", RLIMIT_AS, rlim_t{33000} * 1024, nullptr},
        Limit{"-n 20", RLIMIT_NOFILE, 20, nullptr},
        Limit{"-n 5", RLIMIT_NOFILE, 5, "Too many open files"},
        Limit{"-f 0", RLIMIT_FSIZE, 0, "File"}}) {
    DeviceImage f;
    CAPTURE(name);
    const auto before = test::everything(f.image);
    f.options.in_child = limit(what, value);
    const Ran device = f.resolve(f.cache);
    const Ran injected = f({"-p", f.program, "-p", f.library});
    f.options.in_child = {};
    if (cause == nullptr) {
      INFO(device.err << injected.err);
      CHECK(device.status == 0);
      CHECK(contains(device.out, "copy=" + f.cache + ":"));
      CHECK(injected.status == 0);
      CHECK(f.inside({"charlie_ask"}).out == "the answer is 42\n");
    } else {
      is_one_error(device, cause);
      CHECK_FALSE(fs::exists(f.cache));
      is_one_error(injected, cause);
      const auto after = test::everything(f.image);
      INFO(test::difference(before, after));
      CHECK(before == after);
    }
  }
}

TEST_CASE("lack of memory is reported as such", "[inject][tool]") {
  STATIC_TOOLS_ONLY();
  DeviceImage f;
  const std::string list = f.dir / "list";
  test::write_file(list, "");
  fs::resize_file(list, std::uintmax_t{60} << 20);
  f.options.in_child = limit(RLIMIT_AS, rlim_t{40000} * 1024);
  is_one_error(f({"-f", list}), "out of memory");
  // This must not be mistaken for a damaged file in the image.
  for (const char* name : {"injected.json", ".ch-fromhost.journal"}) {
    fs::create_directory(f.image / "ch");
    test::write_file(f.image / "ch" / name,
                     "[\"" + std::string(std::size_t{12} << 20, 'x') + "\"]");
    is_one_error(f({"--remove"}), "out of memory");
    fs::remove_all(f.image / "ch");
  }
}

TEST_CASE("output that ch-fromhost and ch-device can't write is an error", "[inject][tool]") {
  DeviceImage f;
  CHECK(f({"-p", f.program}).status == 0);
  const auto closed = [] { close(1); };
  for (const auto& [output, cause] : {std::pair<std::function<void()>, const char*>{
                                          printing_to("/dev/full"), "No space left on device"},
                                      {closed, "Bad file descriptor"}}) {
    f.options.in_child = output;
    for (const std::vector<std::string>& words : {std::vector<std::string>{"--list"},
                                                  {"--list", "-v"},
                                                  {"--lib-path"},
                                                  {"--dry-run", "-p", f.library},
                                                  {"--dry-run", "--remove"},
                                                  {"-v", "-p", f.program},
                                                  {"-p", f.library}}) {
      CAPTURE(words);
      is_one_error(f(words), std::string("can't write to standard output: ") + cause);
    }
    is_one_error(f.ch_device({"--list"}), cause);
    // What is printed names the cache; without that it is of no use.
    is_one_error(f.resolve(f.cache), cause);
    CHECK_FALSE(fs::exists(f.cache));
  }
}

TEST_CASE("a loader's cache that can't be written is one error", "[inject][tool]") {
  const DeviceImage f;
  const Ran full = f.resolve("/dev/full");
  is_one_error(full, "can't write: No space left on device");
  CHECK(full.out.empty());
  CHECK(fs::exists("/dev/full"));
}
