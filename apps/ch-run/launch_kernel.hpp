// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The kernel of every launch: the real one, optionally narrated and watched step by step.
// One type for all of these, since each further type would instantiate another copy of the
// executor, in a program that ranks on a thousand nodes load at once.
#pragma once

#include "ch/kernel/any_kernel.hpp"
#include "ch/meet/gathering.hpp"
#include "ch/plan/plan.hpp"

namespace ch_run {

class LaunchKernel {
 public:
  template <ch::kernel::Kernel K>
  explicit LaunchKernel(K& k) noexcept : inner_(k) {}

  /// From now on calls `watcher.on_step` for each step.
  template <class Watcher>
  void watch(Watcher& watcher) noexcept {
    watcher_ = &watcher;
    tell_ = [](void* self, ch::StepIndex index, const ch::Step& step) noexcept {
      static_cast<Watcher*>(self)->on_step(index, step);
    };
  }

  /// From now on calls `listener.on_joined` with the container that this process joined,
  /// `listener.on_skipped` for binds that are skipped, and `listener.on_left` for what a failed
  /// launch can't undo.
  template <class Listener>
  void listen(const Listener& listener) noexcept {
    listener_ = &listener;
    joined_ = [](const void* self, const ch::Gathering& group) noexcept {
      static_cast<const Listener*>(self)->on_joined(group);
    };
    skipped_ = [](const void* self, const ch::step::Bind& bind) noexcept {
      static_cast<const Listener*>(self)->on_skipped(bind);
    };
    left_ = [](const void* self, ch::ZString path) noexcept {
      static_cast<const Listener*>(self)->on_left(path);
    };
  }

  template <class... Arguments>
  long call(ch::kernel::Call which, Arguments... arguments) noexcept {
    return inner_.call(which, arguments...);
  }
  void on_step(ch::StepIndex index, const ch::Step& step) noexcept {
    if (tell_ != nullptr) tell_(watcher_, index, step);
  }
  void on_joined(const ch::Gathering& group) noexcept {
    if (joined_ != nullptr) joined_(listener_, group);
  }
  void on_skipped(const ch::step::Bind& bind) noexcept {
    if (skipped_ != nullptr) skipped_(listener_, bind);
  }
  void on_left(ch::ZString path) noexcept {
    if (left_ != nullptr) left_(listener_, path);
  }

 private:
  ch::kernel::AnyKernel inner_;
  const void* listener_ = nullptr;
  void (*joined_)(const void*, const ch::Gathering&) noexcept = nullptr;
  void (*skipped_)(const void*, const ch::step::Bind&) noexcept = nullptr;
  void (*left_)(const void*, ch::ZString) noexcept = nullptr;
  void* watcher_ = nullptr;
  void (*tell_)(void*, ch::StepIndex, const ch::Step&) noexcept = nullptr;
};

}  // namespace ch_run
