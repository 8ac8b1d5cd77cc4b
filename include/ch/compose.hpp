// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. Order-free composition: name the policies of a container in any order. Policies left out
// get their defaults, and mount contributors are sorted into the order in which they must be
// mounted. Uses Boost.Hana, and is therefore a separate header: nothing else on the launch path
// includes it. Source: Boost.Hana reference, sort, filter, unpack.
#pragma once

#include <boost/hana/config.hpp>
#include <boost/hana/filter.hpp>
#include <boost/hana/functional/on.hpp>
#include <boost/hana/length.hpp>
#include <boost/hana/ordering.hpp>
#include <boost/hana/plus.hpp>
#include <boost/hana/size.hpp>
#include <boost/hana/sort.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/type.hpp>
#include <boost/hana/unpack.hpp>

#include "ch/container.hpp"
#include "ch/policies/mount/accounts.hpp"
#include "ch/policies/mount/additions.hpp"
#include "ch/policies/mount/devices.hpp"
#include "ch/policies/mount/home.hpp"
#include "ch/policies/mount/host_files.hpp"
#include "ch/policies/mount/image_root.hpp"
#include "ch/policies/mount/tmp.hpp"
#include "ch/policies/mount/user_binds.hpp"
#include "ch/policies/mount/writable_layer.hpp"

namespace ch {

/// When a contributor's mounts are made: those that may cover others come later. Specialise it for
/// your own contributor if the default, the middle, does not fit.
template <class C>
inline constexpr int mount_order = 50;
template <class S>
inline constexpr int mount_order<ImageRoot<S>> = 0;
template <>
inline constexpr int mount_order<WritableLayer> = 10;
template <>
inline constexpr int mount_order<Additions> = 80;
template <>
inline constexpr int mount_order<UserBinds> = 90;  // the user may cover anything

namespace detail {

namespace hana = boost::hana;

template <template <class...> class To>
struct Unpacked {
  template <class... Types>
  constexpr auto operator()(Types...) const {
    return hana::type_c<To<typename Types::type...>>;
  }
};

inline constexpr auto by_mount_order = [](auto a, auto b) {
  return hana::bool_c<(mount_order<typename decltype(a)::type> <
                       mount_order<typename decltype(b)::type>)>;
};

/// One predicate for each kind of policy.
inline constexpr auto is_contributor = [](auto t) {
  return hana::bool_c<MountContributor<typename decltype(t)::type>>;
};
inline constexpr auto is_namespaces = [](auto t) {
  return hana::bool_c<NamespacePolicy<typename decltype(t)::type>>;
};
inline constexpr auto is_id_map = [](auto t) {
  return hana::bool_c<IdMapPolicy<typename decltype(t)::type>>;
};
inline constexpr auto is_join = [](auto t) {
  return hana::bool_c<JoinStrategy<typename decltype(t)::type>>;
};

/// The one policy in `policies` that `predicate` holds for, or `Fallback`.
template <class Fallback>
constexpr auto select_policy(auto policies, auto predicate) {
  constexpr auto found = decltype(hana::filter(policies, predicate)){};
  constexpr auto count = decltype(hana::length(found))::value;
  static_assert(count <= 1,
                "Charlie: two policies of the same kind in ch::Compose; remove one of them.");
  if constexpr (count == 0)
    return hana::type_c<Fallback>;
  else
    return found[hana::size_c<0>];
}

constexpr auto mounts_of(auto contributors) {
  if constexpr (decltype(hana::length(contributors))::value == 0)
    return hana::type_c<HostMounts>;
  else
    return hana::unpack(hana::sort(contributors, by_mount_order), Unpacked<Mounts>{});
}

template <class... Policies>
constexpr auto compose() {
  static_assert(!(ForgetsConst<Policies> || ...),
                "Charlie: a mount contributor only describes: declare its contribute const "
                "noexcept.");
  constexpr auto all = hana::tuple_t<Policies...>;
  constexpr int known = (0 + ... +
                         (MountContributor<Policies> || NamespacePolicy<Policies> ||
                                  IdMapPolicy<Policies> || JoinStrategy<Policies>
                              ? 1
                              : 0));
  static_assert(known == sizeof...(Policies),
                "Charlie: ch::Compose takes a NamespaceSet, mount contributors, an IdMapPolicy "
                "and a JoinStrategy; one of the given types is none of these.");
  using DefaultNamespaces = NamespaceSet<ns::user, ns::mount>;
  using NamespacesT = typename decltype(select_policy<DefaultNamespaces>(all, is_namespaces))::type;
  using IdsT = typename decltype(select_policy<SameIds>(all, is_id_map))::type;
  using JoinT = typename decltype(select_policy<Alone>(all, is_join))::type;
  using MountsT = typename decltype(mounts_of(hana::filter(all, is_contributor)))::type;
  return hana::type_c<Container<NamespacesT, MountsT, IdsT, JoinT>>;
}

}  // namespace detail

/// The Container of these policies, in any order. Defaults: without a NamespaceSet, user and mount;
/// without an IdMapPolicy, SameIds; without a JoinStrategy, Alone.
///
///     using Box = ch::Compose<ch::UserBinds, ch::AsRoot, ch::Devices, ch::ImageRoot<>>;
template <class... Policies>
using Compose = typename decltype(detail::compose<Policies...>())::type;

}  // namespace ch
