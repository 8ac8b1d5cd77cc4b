// SPDX-License-Identifier: Apache-2.0
//
// The hosted front inside a program as large as HPC codes are: 64 threads, 8 GiB of memory.

#include <sys/mman.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "ch/run.hpp"
#include "tests/support/files.hpp"

using namespace ch;

namespace {

/// 8 GiB of addresses, with a page in use in every 2 MiB, so that each has its page table.
class Memory {
 public:
  static constexpr std::size_t size = std::size_t{8} << 30;
  Memory()
      : bytes_(static_cast<char*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
    REQUIRE(static_cast<void*>(bytes_) != MAP_FAILED);
    (void)::madvise(bytes_, size, MADV_NOHUGEPAGE);
    for (std::size_t at = 0; at < size; at += std::size_t{2} << 20) bytes_[at] = 1;
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { ::munmap(bytes_, size); }

 private:
  char* bytes_;
};

}  // namespace

TEST_CASE("64 threads of a large process run, capture, spawn and call at the same time",
          "[userns]") {
  const test::TempDir dir;
  const std::string path = dir / "image";
  test::make_image(path);
  const Memory memory;
  const auto box = compose(image(path), devices);
  std::atomic<int> good = 0;
  std::atomic<bool> go = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 64; ++i)
    threads.emplace_back([&, i] {
      while (!go) std::this_thread::yield();
      const std::string word = std::to_string(i);
      const auto got = capture(box, {"echo", word});
      const bool captured = got && got->ok() && got->out == word + "\n";
      const auto result = run(box, {"sh", "-c", "exit " + word});
      const bool ran = result && result->code == i;
      auto child = spawn(box, {"true"});
      const bool spawned = child && child->wait() && child->wait()->code == 0;
      // A copy of the process costs more: a few are enough.
      bool called = true;
      if (i % 16 == 0) {
        const auto sum = call(box, [i] { return i + 1; });
        called = sum && *sum == i + 1;
      }
      if (captured && ran && spawned && called) ++good;
    });
  go = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 64);
}
