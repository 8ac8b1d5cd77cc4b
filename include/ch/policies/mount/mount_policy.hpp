// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, second policy: what the container's tree of mounts looks like. It consists of
// contributors, each a header of this folder; Mounts runs them in order between opening the image
// and entering it. docs/contributor.md shows how to write one. Source: man 7 mount_namespaces.
#pragma once

#include <concepts>
#include <tuple>

#include "ch/plan/context.hpp"

namespace ch {

/// Purpose: adds the mounts for one feature, such as the home directory.
///
/// Minimal definition: `contribute(builder, context)`, const and noexcept. Optional, static:
/// `uses_scratch`, true if its steps need the scratch file system; `opens_image`, true for the one
/// that provides the root; `covers_image`, true for one that is mounted on the root and so hides
/// earlier mounts. Also optional: `scratch_size`, a ZString, to limit the scratch file system.
///
/// Laws: it only describes (no system calls); its options are its members; it depends only on those
/// and the context, so equal inputs give equal steps.
///
/// Models: ImageRoot, WritableLayer, HostFiles, Accounts, Tmp, Home, Devices, Additions,
/// UserBinds.
template <class C>
concept MountContributor =
    !requires { C::mounts; } &&  // that is a whole MountPolicy
    requires(const C& contributor, PlanBuilder& builder, const PlanContext& context) {
      { contributor.contribute(builder, context) }
      noexcept;
    };

/// Purpose: adds all mount steps of a container.
///
/// Minimal definition: `mounts` (false: the container keeps the tree it has) and
/// `contribute(builder, context)`.
///
/// Laws: if `mounts`, the steps start with OpenImage and end with EnterRoot.
///
/// Models: Mounts<...>, HostMounts.
template <class P>
concept MountPolicy = requires(const P& policy, PlanBuilder& builder, const PlanContext& context) {
  { P::mounts } -> std::convertible_to<bool>;
  { policy.contribute(builder, context) }
  noexcept;
};

/// The host's tree as it is: for containers that only differ in other namespaces.
struct HostMounts {
  static constexpr bool mounts = false;
  void contribute(PlanBuilder&, const PlanContext&) const noexcept {}
};

namespace detail {
/// A contributor that opens the image declares this member.
template <class C>
concept OpensImage = requires {
  requires C::opens_image;
};

/// A contributor that needs the scratch file system declares this member.
template <class C>
concept UsesScratch = requires {
  requires C::uses_scratch;
};

/// Would it be a contributor, were its `contribute` const and noexcept?
template <class C>
concept ForgetsConst = !MountContributor<C> &&
    requires(C& contributor, PlanBuilder& builder, const PlanContext& context) {
      contributor.contribute(builder, context);
    };

/// A contributor that covers the whole image declares this member.
template <class C>
concept CoversImage = requires {
  requires C::covers_image;
};

/// Is each contributor that covers the image the second one, right after the root?
template <class... Contributors>
[[nodiscard]] constexpr bool covers_come_second() noexcept {
  int position = 0;
  bool right = true;
  ((right = right && (!CoversImage<Contributors> || position == 1), ++position), ...);
  return right;
}

/// Are all types different?
template <class... Ts>
[[nodiscard]] constexpr bool all_differ() noexcept {
  const auto count = []<class T>(std::type_identity<T>) {
    return (0 + ... + (std::same_as<T, Ts> ? 1 : 0));
  };
  return ((count(std::type_identity<Ts>{}) == 1) && ...);
}

/// The contributor's size limit of the scratch file system, if it has one.
template <class C>
[[nodiscard]] constexpr ZString scratch_size(const C& contributor, ZString so_far) noexcept {
  if constexpr (requires { contributor.scratch_size; })
    return contributor.scratch_size.empty() ? so_far : contributor.scratch_size;
  else
    return so_far;
}
}  // namespace detail

/// The contributors' steps in the order given, which is the order of mounting: later ones may cover
/// earlier ones. compose.hpp sorts them automatically.
template <class... Contributors>
class Mounts {
  static_assert(!(detail::ForgetsConst<Contributors> || ...),
                "Charlie: a mount contributor only describes: declare its contribute const "
                "noexcept.");
  static_assert((MountContributor<Contributors> && ...),
                "Charlie: Mounts<...> takes mount contributors: a type with "
                "contribute(PlanBuilder&, const PlanContext&) const noexcept.");
  static_assert(detail::all_differ<Contributors...>(),
                "Charlie: a mount contributor is given twice; remove one of them.");
  static_assert((0 + ... + (detail::OpensImage<Contributors> ? 1 : 0)) == 1,
                "Charlie: Mounts<...> needs exactly one contributor that opens the image; add "
                "ch::ImageRoot, or remove the second.");

  template <class First, class...>
  static constexpr bool first_opens = detail::OpensImage<First>;
  static_assert(first_opens<Contributors...>,
                "Charlie: the contributor that opens the image comes first: put ch::ImageRoot at "
                "the front, or let ch::compose order them.");

  static_assert(detail::covers_come_second<Contributors...>(),
                "Charlie: a contributor that covers the image hides what is mounted before it: put "
                "ch::WritableLayer right after ch::ImageRoot, or let ch::compose order them.");

 public:
  static constexpr bool mounts = true;

  constexpr Mounts() noexcept = default;
  constexpr explicit Mounts(Contributors... contributors) noexcept : all_(contributors...) {}

  /// The contributor of type C, to set its members.
  template <class C>
  [[nodiscard]] constexpr C& get() noexcept {
    return std::get<C>(all_);
  }
  template <class C>
  [[nodiscard]] constexpr const C& get() const noexcept {
    return std::get<C>(all_);
  }

  void contribute(PlanBuilder& builder, const PlanContext& context) const noexcept {
    std::apply(
        [&](const auto& root, const auto&... rest) {
          root.contribute(builder, context);
          if constexpr ((detail::UsesScratch<Contributors> || ...)) {
            ZString size;
            ((size = detail::scratch_size(rest, size)), ...);
            builder.add(step::MakeScratch{size});
          }
          (rest.contribute(builder, context), ...);
        },
        all_);
    builder.add(step::EnterRoot{});
  }

 private:
  std::tuple<Contributors...> all_;
};

}  // namespace ch
