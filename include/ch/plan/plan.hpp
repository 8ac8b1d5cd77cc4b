// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. A plan: the steps of one container in order, in the caller's arena, and the builder to
// which policies add steps. Building makes no system calls.
#pragma once

#include <span>

#include "ch/plan/description.hpp"
#include "ch/plan/step.hpp"
#include "ch/types/arena.hpp"
#include "ch/types/result.hpp"

namespace ch {

/// How the tree of mounts is assembled; newer kernels allow cheaper ways.
enum class Assembly : std::uint8_t {
  detached,  // 6.15: mount detached trees onto each other, then attach the complete tree once
  attached,  // 5.12: attach the root first, then mount onto it by descriptor
  classic,   // mount(2) through /proc/self/fd, for kernels without the calls above
};

/// The steps of one container. A view: the arena that the builder used owns all of it. State of an
/// execution is elsewhere (execution.hpp), so that several threads can execute one plan at once.
/// Plans compare by content.
struct Plan {
  std::span<const Step> steps{};
  Assembly assembly = Assembly::detached;

  friend constexpr bool operator==(const Plan& a, const Plan& b) noexcept {
    if (a.assembly != b.assembly || a.steps.size() != b.steps.size()) return false;
    for (std::size_t i = 0; i < a.steps.size(); ++i)
      if (!(a.steps[i] == b.steps[i])) return false;
    return true;
  }
};

/// Collects steps. When the arena is full, the builder ignores further steps and `finish` reports
/// it, so that policies need not check each step. Never allocates outside the arena. Not for use
/// between clone and exec.
class PlanBuilder {
 public:
  explicit PlanBuilder(Arena& arena) noexcept
      : arena_(arena),
        steps_(arena.sequence<Step>(initial_capacity)),
        full_(steps_.capacity() == 0) {}

  /// A step of this kind.
  template <class Kind>
  void add(const Kind& step) noexcept {
    add(Step(std::in_place_type<Kind>, step));
  }
  void add(const Step& step) noexcept {
    full_ = !arena_.push_back(steps_, step) || full_;
    const auto* image = std::get_if<step::OpenImage>(&step);
    if (image == nullptr || image->by == FoundBy::path) return;
    for (Step& before : steps_)
      if (auto* creates = std::get_if<step::CreateNamespaces>(&before))
        creates->enter = image->directory;
  }
  /// Binds `source` of the host at `destination` in the container. The paths are views, as in every
  /// step.
  void bind(HostPath source, ImagePath destination, IfMissing if_missing = IfMissing::fail,
            Access access = Access::read_write) noexcept {
    add(step::Bind{source, destination, access, if_missing});
  }
  void bind(const char* source, const char* destination, IfMissing if_missing = IfMissing::fail,
            Access access = Access::read_write) noexcept {
    bind(HostPath(source), ImagePath(destination), if_missing, access);
  }
  /// A NUL-terminated text made of `pieces`, living as long as the plan.
  template <class... Pieces>
  [[nodiscard]] ZString text(Pieces... pieces) noexcept {
    const char* joined = arena_.join(pieces...);
    if (joined == nullptr) full_ = true;
    return joined == nullptr ? ZString() : ZString(joined);
  }

  /// The first step so far, or null.
  [[nodiscard]] const Step* first() const noexcept {
    return steps_.empty() ? nullptr : steps_.begin();
  }
  /// `count` objects that live as long as the plan; none if the arena is full.
  template <class T>
  [[nodiscard]] std::span<T> memory(std::size_t count) noexcept {
    T* first = arena_.make<T>(count);
    if (first == nullptr) full_ = true;
    return {first, first == nullptr ? 0 : count};
  }

  /// The plan. ENOMEM with operation `none`: the arena is too small.
  [[nodiscard]] Result<Plan> finish(Assembly assembly = Assembly::detached) const noexcept {
    if (full_)
      return failure({Errno::enomem,
                      kernel::Call::none,
                      StepIndex::none,
                      {},
                      "the arena is too small for the plan"});
    return Plan{steps_.span(), assembly};
  }

 private:
  static constexpr std::size_t initial_capacity = 40;  // a default ch-run and some binds

  Arena& arena_;
  Sequence<Step> steps_;
  bool full_;
};

}  // namespace ch
