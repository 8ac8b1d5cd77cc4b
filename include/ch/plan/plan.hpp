// SPDX-License-Identifier: Apache-2.0
//
// Floor 3. A plan: the steps of one container in order, in an arena of the caller's,
// and the builder that policies add steps with. Building asks the kernel nothing and
// changes nothing.
#pragma once

#include <span>

#include "ch/plan/step.hpp"
#include "ch/types/arena.hpp"
#include "ch/types/result.hpp"

namespace ch {

/// How the tree of mounts is put together; a newer kernel allows a cheaper way.
enum class Assembly : std::uint8_t {
  detached,  // 6.15: unattached trees may be mounted onto each other; attach once, complete
  attached,  // 5.12: attach the root first, then mount onto it by descriptor
  classic,   // mount(2) through /proc/self/fd, for kernels without the calls above
};

/// The steps of one container. A view: the arena that the builder used owns all of it.
struct Plan {
  std::span<const Step> steps{};
  Assembly assembly = Assembly::detached;
  /// For each step, what executing it has made where it lasts (take_back.hpp). Empty where no
  /// step can; a plan without it takes nothing back. Written by execute, so a plan that has it is
  /// for one launch at a time.
  std::span<std::uint8_t> made{};
};

/// The step that opens an image which is found by a descriptor; null if none does.
[[nodiscard]] constexpr const step::OpenImage* image_by_descriptor(
    std::span<const Step> steps) noexcept {
  for (const Step& step : steps)
    if (const auto* image = std::get_if<step::OpenImage>(&step))
      return image->by == FoundBy::descriptor ? image : nullptr;
  return nullptr;
}

/// Collects steps. When the arena is full the builder remembers that, ignores what
/// comes after, and `finish` reports it: no policy needs to check each step.
/// Never allocates outside the arena. Not for use between clone and exec.
class PlanBuilder {
 public:
  explicit PlanBuilder(Arena& arena) noexcept
      : arena_(arena), steps_(arena.sequence<Step>(usual)), full_(steps_.capacity() == 0) {}

  void add(const Step& step) noexcept { full_ = !arena_.push_back(steps_, step) || full_; }
  /// Shows `source` of the host at `destination` of the container. The paths are views, as in
  /// every step.
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
    Plan plan{steps_.span(), assembly};
    bool lasts = false;
    for (const Step& step : steps_) {
      const auto* image = std::get_if<step::OpenImage>(&step);
      const auto* layer = std::get_if<step::Overlay>(&step);
      lasts = lasts || (image != nullptr && image->access == Access::read_write) ||
              (layer != nullptr && layer->kind == OverlayKind::directory);
    }
    if (lasts) plan.made = {arena_.make<std::uint8_t>(steps_.size()), steps_.size()};
    if (full_ || (lasts && plan.made.data() == nullptr))
      return failure({Errno::enomem,
                      kernel::Call::none,
                      StepIndex::none,
                      {},
                      "the arena is too small for the plan"});
    return plan;
  }

 private:
  static constexpr std::size_t usual = 40;  // steps of a default ch-run and some binds

  Arena& arena_;
  Sequence<Step> steps_;
  bool full_;
};

}  // namespace ch
