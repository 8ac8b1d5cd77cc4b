// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. A thread whose stack size we choose. The default is "ulimit -s": eight mebibytes per
// thread use up most of a tight memory limit, and with a stack of a few kibibytes a thread would
// crash without a message.
// Source: man 3 pthread_attr_setstacksize.
#pragma once

#include <pthread.h>

#include <functional>
#include <memory>
#include <utility>

#include "ch/io/failed.hpp"

namespace ch::io {

/// Runs a function, which must not throw. The destructor joins. Not copyable.
class Thread {
 public:
  static constexpr std::size_t stack_size = 512 * 1024;

  Thread() = default;
  /// Throws an error that names the limits, and std::bad_alloc. Allocates.
  explicit Thread(std::function<void()> work) {
    auto owned = std::make_unique<std::function<void()>>(std::move(work));
    pthread_attr_t attributes;
    int why = ::pthread_attr_init(&attributes);
    if (why == 0) {
      why = ::pthread_attr_setstacksize(&attributes, stack_size);
      if (why == 0) why = ::pthread_create(&thread_, &attributes, &Thread::run, owned.get());
      ::pthread_attr_destroy(&attributes);
    }
    if (why != 0)
      throw Failed(std::string(),
                   "can't start a thread: the limit on memory (ulimit -v) or on processes "
                   "(ulimit -u) is reached",
                   "raise that limit", why);
    (void)owned.release();
    runs_ = true;
  }
  ~Thread() { join(); }
  Thread(Thread&& other) noexcept
      : thread_(other.thread_), runs_(std::exchange(other.runs_, false)) {}
  Thread& operator=(Thread&&) = delete;

  /// Waits for its end, unless that was done before.
  void join() noexcept {
    if (std::exchange(runs_, false)) ::pthread_join(thread_, nullptr);
  }

 private:
  static void* run(void* work) noexcept {
    const std::unique_ptr<std::function<void()>> owned(static_cast<std::function<void()>*>(work));
    (*owned)();
    return nullptr;
  }
  pthread_t thread_{};
  bool runs_ = false;
};

}  // namespace ch::io
