// SPDX-License-Identifier: Apache-2.0
//
// Floor 3. Is a plan one that can work at all? Catches, before anything has happened,
// what a policy or a caller put together wrongly; what the *host* refuses shows only in
// execution. Pure: no system call, no allocation.
#pragma once

#include "ch/plan/gathering.hpp"
#include "ch/plan/plan.hpp"

namespace ch {

namespace detail {

/// Where a step wants to put something in the container; empty for other steps.
struct DestinationOf {
  template <class S>
  constexpr ZString operator()(const S& s) const noexcept {
    if constexpr (requires { s.destination; })
      return s.destination.text;
    else
      return {};
  }
};

}  // namespace detail

/// EINVAL with the step at fault: namespaces not first or not once, peers who meet and are
/// never admitted or by no tag, ids mapped before or without them, a destination that is relative or the root itself, scratch or mounts
/// used before they exist or after the root was entered, steps after Execute.
[[nodiscard]] constexpr Result<void> validate(const Plan& plan) noexcept {
  bool entered = false;
  bool image = false;
  bool scratch = false;
  bool in_root = false;
  bool over = false;
  bool meets = false;
  bool admits = false;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& s = plan.steps[i];
    const auto is = [&]<class S>(std::type_identity<S>) { return std::holds_alternative<S>(s); };
    const auto fail = [&](ZString what) {
      return failure(
          {Errno::einval, kernel::Call::none, static_cast<StepIndex>(i), what});
    };
    if (over) return fail("nothing may follow Execute");
    if (const auto* meeting = std::get_if<step::MeetPeers>(&s)) {
      if (i != 0) return fail("the peers meet first, and once");
      if (!is_tag(meeting->tag)) return fail("a group's tag has 1 to 64 visible ASCII characters");
      meets = true;
      continue;
    }
    const bool enters = is(std::type_identity<step::CreateNamespaces>{}) ||
                        is(std::type_identity<step::JoinNamespaces>{});
    if (enters != (i == (meets ? 1U : 0U))) return fail("the namespaces come first, and once");
    entered = entered || enters;
    if (const auto* makes = std::get_if<step::CreateNamespaces>(&s); makes != nullptr && meets)
      if (takes_child(makes->flags))
        return fail("a pid or time namespace can't be shared by a group: it ends with one process");
    if (is(std::type_identity<step::AdmitPeers>{})) {
      if (!meets || admits || (image && !in_root))
        return fail("peers are admitted once, to a container that stands");
      admits = true;
    }
    if (is(std::type_identity<step::OpenImage>{})) {
      if (image) return fail("a container has one image");
      image = true;
    }
    if (is(std::type_identity<step::MakeScratch>{})) {
      if (!image || in_root) return fail("scratch is made after the image is open");
      scratch = true;
    }
    if (is(std::type_identity<step::MakeScratchDirectory>{}) ||
        is(std::type_identity<step::WriteScratchFile>{}) ||
        is(std::type_identity<step::BindScratch>{})) {
      if (!scratch || in_root) return fail("scratch is used between MakeScratch and EnterRoot");
    }
    const ZString destination = std::visit(detail::DestinationOf{}, s);
    if (std::visit([](const auto& v) { return requires { v.destination; }; }, s)) {
      if (!image || in_root) return fail("mounts go between OpenImage and EnterRoot");
      if (destination.empty() || destination.view()[0] != '/')
        return fail("a destination is an absolute path in the container");
      if (destination.view().find_first_not_of('/') == std::string_view::npos)
        return fail("the root itself can't be a destination");
    }
    if (is(std::type_identity<step::EnterRoot>{})) {
      if (!image || in_root) return fail("EnterRoot needs an open image, and happens once");
      in_root = true;
    }
    if (is(std::type_identity<step::Execute>{})) over = true;
  }
  if (meets != admits)
    return failure({Errno::einval, kernel::Call::none, StepIndex::none, "peers wait for ever"});
  if (!entered) return failure({Errno::einval, kernel::Call::none, StepIndex::none, "empty plan"});
  if (image && !in_root)
    return failure({Errno::einval, kernel::Call::none, StepIndex::none, "the image is never entered"});
  return {};
}

}  // namespace ch
