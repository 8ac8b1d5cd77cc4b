// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. The same work for many things, on all cores. Source: man 7 pthreads.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "ch/io/thread.hpp"

namespace ch::io {

/// Calls `work(i)` for each i below `count`, in any order, and returns when all are done. After
/// an exception no further item is started, and the first exception is rethrown here. A few items
/// are not worth a thread. If no thread can be started, the calling thread does all the work.
template <class Work>
void in_parallel(std::size_t count, const Work& work) {
  constexpr std::size_t worth_a_thread = 4;
  std::atomic<std::size_t> next{0};
  std::atomic_flag failed;
  std::exception_ptr problem;
  const auto run = [&]() noexcept {
    for (std::size_t i = 0; (i = next.fetch_add(1)) < count;) {
      try {
        work(i);
      } catch (...) {
        if (!failed.test_and_set()) problem = std::current_exception();
        next = count;
      }
    }
  };
  const std::size_t cores = std::min(std::thread::hardware_concurrency(), 8U);  // 0: unknown
  std::vector<Thread> helpers;
  try {
    while (helpers.size() + 1 < std::min(cores, count / worth_a_thread)) helpers.emplace_back(run);
  } catch (
      const std::exception&) {  // no thread, or no memory for one: go on with those that there are
  }
  run();
  for (Thread& helper : helpers) helper.join();
  if (problem) std::rethrow_exception(problem);
}

}  // namespace ch::io
