// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. Container: four policies composed into one type. The type says what kind of
// container it is; an object of it holds this container's options; plan() turns both,
// with the host's facts, into a Plan. Nothing happens until launch.hpp executes that.
#pragma once

#include "ch/plan/validate.hpp"
#include "ch/policies/idmap/id_map.hpp"
#include "ch/policies/join/join_strategy.hpp"
#include "ch/policies/mount/mount_policy.hpp"
#include "ch/policies/ns/namespace_set.hpp"

namespace ch {

/// What runs in the container. `argv` and `envp` end in null; `name` is the program to execute,
/// looked up in `search_path` unless it has a slash; argv[0] is the name that the program is given.
struct Program {
  ZString name{};
  const char* const* argv = nullptr;
  const char* const* envp = nullptr;
  ZString search_path = "/usr/local/bin:/usr/bin:/bin";
  std::span<const int> keep_descriptors{};  // besides 0, 1, 2; in any order, close-on-exec or not
  std::span<const kernel::BpfInstruction> filter{};  // seccomp; empty: none
  std::span<const step::Redirect> streams{};         // 0, 1 and 2, where they are not the caller's
};

namespace detail {

/// The numbers in ascending order, as CloseDescriptors requires.
[[nodiscard]] inline std::span<const int> ascending(PlanBuilder& builder,
                                                    std::span<const int> numbers) noexcept {
  bool sorted = true;
  for (std::size_t i = 1; i < numbers.size(); ++i) sorted = sorted && numbers[i - 1] <= numbers[i];
  if (sorted) return numbers;
  const std::span<int> copy = builder.memory<int>(numbers.size());
  for (std::size_t i = 0; i < copy.size(); ++i) {
    std::size_t at = i;
    for (; at > 0 && copy[at - 1] > numbers[i]; --at) copy[at] = copy[at - 1];
    copy[at] = numbers[i];
  }
  return copy;
}

}  // namespace detail

/// A container, not yet made. Copyable; members are the policies, to be set freely.
///
/// Example; examples/policies/main.cpp compiles and runs several:
///
///     ch::Container<ch::NamespaceSet<ch::ns::user, ch::ns::mount>,
///                   ch::Mounts<ch::ImageRoot<>, ch::Devices>> box;
///     box.mounts.get<ch::ImageRoot<>>().image = ch::HostPath("/tmp/image");
template <class Namespaces, class MountPolicyT = HostMounts, class IdMapPolicyT = SameIds,
          class JoinStrategyT = Alone>
struct Container {
  static_assert(NamespacePolicy<Namespaces>,
                "Charlie: the first argument of Container is a ch::NamespaceSet<...>.");
  static_assert(MountPolicy<MountPolicyT>,
                "Charlie: the second argument of Container is a MountPolicy: ch::Mounts<...> or "
                "ch::HostMounts.");
  static_assert(IdMapPolicy<IdMapPolicyT>,
                "Charlie: the third argument of Container is an IdMapPolicy: ch::SameIds, "
                "ch::AsRoot, ch::ChosenIds or ch::KeepIds.");
  static_assert(JoinStrategy<JoinStrategyT>,
                "Charlie: the fourth argument of Container is a JoinStrategy: ch::Alone, "
                "ch::AttachToPid, ch::AttachToFiles, ch::PeerGroup or ch::LivingTag.");
  static_assert(!MountPolicyT::mounts || Namespaces::template has<ns::mount>,
                "Charlie: this container mounts file systems but keeps the host's mount "
                "namespace; add ch::ns::mount to its NamespaceSet.");
  static_assert(!IdMapPolicyT::maps || Namespaces::template has<ns::user>,
                "Charlie: ids can only be mapped in a new user namespace; add ch::ns::user to the "
                "NamespaceSet, or use ch::KeepIds if you are real root.");
  static_assert(IdMapPolicyT::maps || !Namespaces::template has<ns::user>,
                "Charlie: in a new user namespace without a map every id is nobody; use "
                "ch::SameIds, or remove ch::ns::user.");

  static_assert(!detail::MeetsPeers<JoinStrategyT> || !Namespaces::needs_child,
                "Charlie: a pid or time namespace can't be shared by a group, since it ends with "
                "the process that made it; remove ch::ns::pid and ch::ns::time, or use ch::Alone.");

  /// Neither makes nor joins namespaces: its program is started like any other, and may gain
  /// privilege from its file, as newuidmap does.
  static constexpr bool starts_on_host =
      std::same_as<Namespaces, NamespaceSet<>> && std::same_as<JoinStrategyT, Alone>;

  using namespace_set = Namespaces;

  [[no_unique_address]] Namespaces namespaces{};
  MountPolicyT mounts{};
  IdMapPolicyT ids{};
  JoinStrategyT join{};
  ZString hostname{};     // needs a uts namespace; empty: unchanged
  ImagePath directory{};  // working directory; empty: the new root
  IfMissing if_directory_missing = IfMissing::fail;

  /// The steps that make this container on a host with these facts, in `arena`; with a
  /// program, its start too. Errors: ENOMEM (arena too small), EINVAL (validate.hpp), EPERM
  /// (this process has a privilege that its user lacks, privilege.hpp). Makes no system call;
  /// allocates only in the arena.
  [[nodiscard]] Result<Plan> plan(const HostFacts& facts, Arena& arena) const noexcept {
    return finish(describe(facts, arena), facts);
  }
  [[nodiscard]] Result<Plan> plan(const HostFacts& facts, const Program& program,
                                  Arena& arena) const noexcept {
    PlanBuilder builder = describe(facts, arena);
    if (!program.filter.empty()) {
      if constexpr (starts_on_host) builder.add(step::ForbidNewPrivileges{});
      builder.add(step::InstallFilter{program.filter});
    }
    for (const step::Redirect& stream : program.streams) builder.add(stream);
    builder.add(step::CloseDescriptors{detail::ascending(builder, program.keep_descriptors)});
    builder.add(step::Execute{program.name, program.argv, program.envp, program.search_path});
    return finish(builder, facts);
  }

 private:
  [[nodiscard]] PlanBuilder describe(const HostFacts& facts, Arena& arena) const noexcept {
    PlanBuilder builder(arena);
    const NamespaceFlags flags = namespaces.flags();
    const Role role = join.contribute(builder, flags);
    if (role == Role::creator) {
      ids.contribute(builder, facts);
      if constexpr (MountPolicyT::mounts && !Namespaces::template has<ns::user>)
        builder.add(step::MakePrivate{});
      mounts.contribute(builder, PlanContext{facts, flags, ids.uid(facts), ids.gid(facts)});
      if (!hostname.empty()) builder.add(step::SetHostname{hostname});
      if constexpr (requires { join.complete(builder); }) join.complete(builder);
    }
    if (!directory.empty()) builder.add(step::ChangeDirectory{directory, if_directory_missing});
    if constexpr (!starts_on_host) builder.add(step::ForbidNewPrivileges{});
    return builder;
  }
  [[nodiscard]] static Result<Plan> finish(const PlanBuilder& builder,
                                           const HostFacts& facts) noexcept {
    if (facts.privilege != Privilege::none)
      return failure({Errno::eperm,
                      kernel::Call::none,
                      StepIndex::none,
                      {},
                      why_refused(facts.privilege).c_str()});
    Result<Plan> plan = builder.finish(facts.assembly);
    if (plan) CHARLIE_TRY(validate(*plan));
    return plan;
  }
};

}  // namespace ch
