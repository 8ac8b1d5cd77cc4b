// SPDX-License-Identifier: Apache-2.0
//
// The library's unpack() does with `containment` what the tool does: it is the same code.

#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/image/tool_fixture.hpp"
#include "tests/support/filter_calls.hpp"

namespace {

using namespace ch::images;
using test::contains;
using test::content;
namespace fs = std::filesystem;

/// The error ("" for none) and note of unpacking in a process that may not make namespaces.
std::string told_without_namespaces(const fs::path& image, Containment containment) {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    test::filter_calls({SYS_unshare}, EPERM);
    std::string told;
    try {
      UnpackOptions options;
      options.containment = containment;
      for (const std::string& note :
           test::unpack_bytes(test::small_tar().bytes(), image, options).notes)
        told += "note: " + note;
    } catch (const std::exception& e) {
      told = std::string("error: ") + e.what();
    } catch (...) {
      told = "something else";
    }
    (void)!write(ends[1], told.data(), told.size());
    _exit(0);
  }
  close(ends[1]);
  std::string told;
  char c = 0;
  while (read(ends[0], &c, 1) == 1) told += c;
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return told;
}

/// A second thread of this process.
class Companion {
 public:
  ~Companion() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_{[this] {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return over_; });
  }};
};

}  // namespace

TEST_CASE("the library, too, refuses if a container is required and can't be made",
          "[image][userns]") {
  const test::TempDir dir;
  const std::string refusal = told_without_namespaces(dir / "i", Containment::required);
  CHECK(contains(refusal, "error: can't extract in a container: "));
  CHECK(fs::is_empty(dir.path()));
  const std::string note = told_without_namespaces(dir / "i", Containment::if_possible);
  CHECK(contains(note, "note: extracted without a container: "));
  CHECK(content(dir / "i/usr/f") == "content");
  CHECK(told_without_namespaces(dir / "j", Containment::none).empty());
  CHECK(content(dir / "j/usr/f") == "content");
}

TEST_CASE("the library extracts in a container, unless the process has other threads",
          "[image][userns]") {
  const test::TempDir dir;
  UnpackOptions options;
  options.containment = Containment::required;
  const auto unpack = [&](const char* name) {
    return test::unpack_bytes(test::small_tar().bytes(), dir / name, options);
  };
  CHECK(unpack("alone").notes.empty());
  CHECK(content(dir / "alone/usr/f") == "content");
  const Companion companion;  // fork() would copy whatever locks it holds
  const auto refusal = test::failure_of([&] { unpack("with_threads"); });
  REQUIRE(refusal);
  CHECK(refusal->reason() == ch::io::Reason::refused);
  CHECK(contains(refusal->cause(), "other threads"));
  CHECK_FALSE(fs::exists(dir / "with_threads"));
  options.containment = Containment::if_possible;
  const UnpackReport report = unpack("with_threads");
  REQUIRE(report.notes.size() == 1);
  CHECK(contains(report.notes[0], "extracted without a container: "));
  CHECK(content(dir / "with_threads/usr/f") == "content");
}
