// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. Can a plan work at all? Detects mistakes of a policy or a caller before anything is
// executed; what the *host* refuses shows only during execution. Pure: no system call, no
// allocation.
#pragma once

#include "ch/plan/peers.hpp"
#include "ch/plan/plan.hpp"

namespace ch {

namespace detail {

/// The field of a step that is empty by mistake, as a sentence; null if there is none. The executor
/// would take an empty path for something else: the caller's working directory, or `/`.
[[nodiscard]] constexpr const char* missing_field(const Step& step) noexcept {
  if (const auto* joins = std::get_if<step::JoinNamespaces>(&step))
    if (joins->pid == Pid::none && joins->held == Fd::none)
      return "no process or open file stands for the namespaces to join";
  if (const auto* opens = std::get_if<step::OpenImage>(&step))
    if (opens->image.empty()) return "the image's path is empty: name a directory";
  if (const auto* binds = std::get_if<step::Bind>(&step))
    if (binds->source.empty()) return "the source of a bind is empty: name a path";
  if (const auto* binds = std::get_if<step::BindScratch>(&step))
    if (binds->source.empty()) return "the source of a bind is empty: name a path";
  if (const auto* layer = std::get_if<step::Overlay>(&step))
    if (layer->kind == OverlayKind::directory && layer->directory.empty())
      return "the layer's directory is empty: name a directory of the host";
  if (const auto* makes = std::get_if<step::MakeScratchDirectory>(&step))
    if (makes->path.empty()) return "a scratch file or directory has no name";
  if (const auto* writes = std::get_if<step::WriteScratchFile>(&step))
    if (writes->path.empty()) return "a scratch file or directory has no name";
  if (const auto* links = std::get_if<step::MakeLink>(&step))
    if (links->target.empty()) return "a link leads nowhere: name its target";
  if (const auto* mounts = std::get_if<step::MountFilesystem>(&step))
    if (mounts->type.empty()) return "a file system has no type";
  if (const auto* changes = std::get_if<step::ChangeDirectory>(&step))
    if (changes->path.empty()) return "the directory to start in is empty";
  if (const auto* runs = std::get_if<step::Execute>(&step)) {
    if (runs->name.empty()) return "the program has no name: say what to run";
    if (runs->argv == nullptr) return "the program has no argv";
  }
  return nullptr;
}

/// An error of the plan as a whole.
[[nodiscard]] constexpr Unexpected invalid_plan(const char* why) noexcept {
  return failure({Errno::einval, kernel::Call::none, StepIndex::none, {}, why});
}

/// The state after the steps so far; decides whether the next step may follow. The functions return
/// what is wrong with that step, as a sentence, or null.
struct PlanChecker {
  std::size_t index = 0;
  bool entered = false;  // the namespaces
  bool image = false;
  bool mounted = false;
  bool scratch = false;
  bool in_root = false;
  bool executed = false;
  bool meets = false;
  bool admits = false;
  bool joined = false;  // by the step before
  NamespaceFlags own = NamespaceFlags::none;

  [[nodiscard]] constexpr const char* check(const Step& s) noexcept {
    if (executed) return "nothing may follow Execute";
    if (const char* lacks = missing_field(s)) return lacks;
    const char* wrong = check_descriptors(s);
    if (wrong == nullptr) wrong = check_namespaces(s);
    if (wrong == nullptr) wrong = check_mounts(s);
    executed = std::holds_alternative<step::Execute>(s);
    ++index;
    return wrong;
  }

 private:
  [[nodiscard]] static constexpr const char* check_descriptors(const Step& s) noexcept {
    if (const auto* puts = std::get_if<step::Redirect>(&s))
      if (puts->from < Fd{0} || puts->to < Fd{0} || puts->to > Fd{2} || puts->from == puts->to)
        return "a redirect is from an open descriptor to another: 0, 1 or 2";
    if (const auto* closes = std::get_if<step::CloseDescriptors>(&s)) {
      int before = 0;
      for (const int kept : closes->keep) {
        if (kept < before) return "descriptors to keep must be ascending: sort them";
        before = kept;
      }
    }
    return nullptr;
  }
  [[nodiscard]] constexpr const char* check_namespaces(const Step& s) noexcept {
    if (const auto* meeting = std::get_if<step::MeetPeers>(&s)) {
      if (index != 0) return "MeetPeers comes first, and once";
      if (!is_tag(meeting->tag)) return "a group's tag has 1 to 64 visible ASCII characters";
      meets = true;
      return nullptr;
    }
    const auto* makes = std::get_if<step::CreateNamespaces>(&s);
    const bool joins = std::holds_alternative<step::JoinNamespaces>(s);
    const bool enters = makes != nullptr || joins;
    const bool joins_more = joins && joined;
    joined = joins;
    if (!joins_more && enters != (index == (meets ? 1U : 0U)))
      return "the namespaces come first, and once";
    entered = entered || enters;
    if (makes != nullptr) {
      own = makes->flags;
      if (meets && needs_child(own))
        return "a pid or time namespace can't be shared by a group: it ends with one process";
    }
    if (std::holds_alternative<step::SetHostname>(s) &&
        !contains(own, static_cast<NamespaceFlags>(kernel::clone_newuts)))
      return "a host name needs a new uts namespace: otherwise it would be the host's";
    if (std::holds_alternative<step::AdmitPeers>(s)) {
      if (!meets || admits || (image && !in_root))
        return "peers are admitted once, after the root is entered";
      admits = true;
    }
    return nullptr;
  }
  [[nodiscard]] constexpr const char* check_mounts(const Step& s) noexcept {
    if (std::holds_alternative<step::OpenImage>(s)) {
      if (image) return "a container has one image";
      image = true;
    }
    if (std::holds_alternative<step::MakeScratch>(s)) {
      if (!image || in_root) return "scratch is made after the image is open";
      scratch = true;
    }
    if (std::holds_alternative<step::Overlay>(s)) {
      if (!scratch || in_root) return "a layer goes between MakeScratch and EnterRoot";
      if (mounted) return "a layer hides earlier mounts: put it right after the image's root";
    }
    const bool uses_scratch = std::holds_alternative<step::MakeScratchDirectory>(s) ||
                              std::holds_alternative<step::WriteScratchFile>(s) ||
                              std::holds_alternative<step::BindScratch>(s);
    if (uses_scratch && (!scratch || in_root))
      return "scratch is used between MakeScratch and EnterRoot";
    if (const ImagePath* destination = destination_of(s)) {
      if (!image || in_root) return "mounts go between OpenImage and EnterRoot";
      if (head(destination->view(), 1) != "/")
        return "a destination is an absolute path in the container";
      if (destination->view().find_first_not_of('/') == std::string_view::npos)
        return "the root itself can't be a destination";
      mounted = true;
    }
    if (std::holds_alternative<step::EnterRoot>(s)) {
      if (!image || in_root) return "EnterRoot needs an open image, and happens once";
      in_root = true;
    }
    return nullptr;
  }
};

}  // namespace detail

/// EINVAL with the step at fault, its destination, and `why`: namespaces not first or not once,
/// peers who meet but are never admitted or have no valid tag, an empty path, name or type, a
/// destination that is relative or the root itself, a layer over mounts, which it would hide,
/// scratch or mounts used before they exist or after the root was entered, descriptors to keep that
/// are not ascending, a host name without a uts namespace, steps after Execute.
[[nodiscard]] constexpr Result<void> validate(const Plan& plan) noexcept {
  detail::PlanChecker checker;
  for (std::size_t i = 0; i < plan.steps.size(); ++i)
    if (const char* wrong = checker.check(plan.steps[i])) {
      const ImagePath* place = destination_of(plan.steps[i]);
      return failure({Errno::einval, kernel::Call::none, static_cast<StepIndex>(i),
                      place == nullptr ? ZString() : place->text, wrong});
    }
  if (checker.meets != checker.admits)
    return detail::invalid_plan("peers meet but are never admitted: they would wait forever");
  if (!checker.entered)
    return detail::invalid_plan("a plan begins with namespaces, and this one has no steps");
  if (checker.image && !checker.in_root)
    return detail::invalid_plan("the image is opened but never entered");
  return {};
}

}  // namespace ch
