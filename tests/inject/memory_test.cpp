// SPDX-License-Identifier: Apache-2.0
//
// Parallel work when memory runs out: what is not essential is left out.

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>

#include "ch/io/in_parallel.hpp"

namespace {
std::atomic<long> before_failure = -1;  // allocations that succeed, then one fails; -1: all do
}

// Of the whole test program; the other forms of new and delete lead here.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (before_failure.load(std::memory_order_relaxed) >= 0 && before_failure.fetch_sub(1) == 0)
    throw std::bad_alloc();
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

TEST_CASE("everything is done even without memory for a thread", "[inject][pure]") {
  for (long k = 0; k < 20; ++k) {
    std::atomic<int> done = 0;
    before_failure = k;
    ch::io::in_parallel(40, [&done](std::size_t) { ++done; });
    before_failure = -1;
    CHECK(done == 40);
  }
}
