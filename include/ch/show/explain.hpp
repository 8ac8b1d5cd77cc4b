// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. From an error number to a cause and a remedy. The kernel has only some 130 error
// numbers; the step that failed, its path and the host's settings say far more.
#pragma once

#include "ch/plan/search_path.hpp"
#include "ch/show/explain_step.hpp"

namespace ch {

namespace detail {

/// What a step attempts, to follow "can't".
struct Attempt {
  constexpr const char* operator()(const step::CreateNamespaces&) const {
    return "make namespaces";
  }
  constexpr const char* operator()(const step::JoinNamespaces&) const { return "join namespaces"; }
  constexpr const char* operator()(const step::MeetPeers&) const {
    return "join or make the container of tag";  // else see attempt_of
  }
  constexpr const char* operator()(const step::AdmitPeers&) const {
    return "gather the peers of group";
  }
  constexpr const char* operator()(const step::DenySetgroups&) const { return "deny setgroups"; }
  constexpr const char* operator()(const step::MapUsers&) const { return "map user ids"; }
  constexpr const char* operator()(const step::MapGroups&) const { return "map group ids"; }
  constexpr const char* operator()(const step::MakePrivate&) const { return "make mounts private"; }
  constexpr const char* operator()(const step::OpenImage&) const { return "open image"; }
  constexpr const char* operator()(const step::MakeScratch&) const { return "mount a scratch"; }
  constexpr const char* operator()(const step::MakeScratchDirectory&) const {
    return "make scratch directory";
  }
  constexpr const char* operator()(const step::WriteScratchFile&) const {
    return "write scratch file";
  }
  constexpr const char* operator()(const step::MakeLink&) const { return "make link"; }
  constexpr const char* operator()(const step::Bind&) const { return "bind"; }
  constexpr const char* operator()(const step::BindScratch&) const { return "bind generated"; }
  constexpr const char* operator()(const step::MountFilesystem&) const { return "mount"; }
  constexpr const char* operator()(const step::Overlay&) const { return "overlay the image with"; }
  constexpr const char* operator()(const step::SetHostname&) const { return "set host name"; }
  constexpr const char* operator()(const step::EnterRoot&) const { return "enter the new root"; }
  constexpr const char* operator()(const step::ChangeDirectory&) const {
    return "change directory to";
  }
  constexpr const char* operator()(const step::ForbidNewPrivileges&) const {
    return "forbid new privileges";
  }
  constexpr const char* operator()(const step::InstallFilter&) const {
    return "install the seccomp filter";
  }
  constexpr const char* operator()(const step::Redirect&) const { return "redirect"; }
  constexpr const char* operator()(const step::CloseDescriptors&) const {
    return "close descriptors";
  }
  constexpr const char* operator()(const step::Execute&) const { return "execute"; }
};

template <std::size_t... kinds>
[[nodiscard]] constexpr const char* attempt_of(const Step& step,
                                               std::index_sequence<kinds...>) noexcept {
  constexpr const char* all[] = {Attempt{}(std::variant_alternative_t<kinds, Step>{})...};
  return all[step.index()];
}

/// What `step` attempts, from a table: half the size of a visit.
[[nodiscard]] constexpr const char* attempt_of(const Step& step) noexcept {
  const auto* meets = std::get_if<step::MeetPeers>(&step);
  if (meets != nullptr && meets->expected != 0) return "meet the peers of group";
  return attempt_of(step, std::make_index_sequence<std::variant_size_v<Step>>());
}

/// What was attempted when `error` came from `plan`.
[[nodiscard]] constexpr const char* attempt_of(const Error& error, const Plan& plan) noexcept {
  const auto index = static_cast<std::size_t>(error.step);
  if (error.step != StepIndex::none && index < plan.steps.size())
    return attempt_of(plan.steps[index]);
  return error.path.empty() ? "plan the container" : "plan a container with";
}

}  // namespace detail

/// Cause and remedy of `error`, which came from executing `plan` on a host with `limits`. `words`
/// is the caller's own words_of, and has words for the same remedies; never null. Pure; allocates
/// nothing.
[[nodiscard]] constexpr Explanation explain(const Error& error, const Plan& plan,
                                            const HostLimits& limits,
                                            const char* (*words)(Remedy) = words_of) noexcept {
  const auto index = static_cast<std::size_t>(error.step);
  const bool in_plan = error.step != StepIndex::none && index < plan.steps.size();
  // If a group fails, error.why is its cause; the rule of the step adds the remedy.
  const bool meets = in_plan && (std::holds_alternative<step::MeetPeers>(plan.steps[index]) ||
                                 std::holds_alternative<step::AdmitPeers>(plan.steps[index]));
  if (!error.why.empty() && !meets) return {error.why, {}};
  Explanation known;
  if (error.why.empty()) known = detail::explain_limit(error.code, error.operation);
  if (in_plan && known.cause.empty())
    known = std::visit(detail::Explain{error, limits}, plan.steps[index]);
  if (const char* own = words(known.kind)) known.remedy = own;
  return known;
}

/// Was the container made, so that only the program could not be started?
[[nodiscard]] constexpr bool failed_to_execute(const Error& error, const Plan& plan) noexcept {
  const auto index = static_cast<std::size_t>(error.step);
  return error.step != StepIndex::none && index < plan.steps.size() &&
         std::holds_alternative<step::Execute>(plan.steps[index]);
}

/// The whole message: what was attempted, on which path, the error of which call; then cause and
/// remedy, if known, on a line each. Lines end in a newline. `words` is the caller's own words_of.
inline void write_message(TextWriter& out, std::string_view program, const Error& error,
                          const Plan& plan, const HostLimits& limits,
                          const char* (*words)(Remedy) = words_of) noexcept {
  out << program << ": error: can't " << detail::attempt_of(error, plan);
  TextBuffer<4352> path;
  write_path(path, error, plan);
  if (!path.view().empty()) out << ' ' << path.view();
  out << ": " << error.code;
  if (error.operation != kernel::Call::none) out << " from " << kernel::shape(error.operation).name;
  out << '\n';
  const Explanation why = explain(error, plan, limits, words);
  if (!why.cause.empty()) out << program << ": cause: " << why.cause << '\n';
  if (!why.remedy.empty()) out << program << ": remedy: " << why.remedy << '\n';
}

}  // namespace ch
