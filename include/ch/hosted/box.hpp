// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. compose(values...): a container from its parts, in any order. Each value is a
// policy, or owns what a policy views; values of which there may be many, such as binds, make
// one policy together. The type that comes out is as fixed as one written by hand.
#pragma once

#include <boost/hana/flatten.hpp>

#include "ch/compose.hpp"
#include "ch/hosted/namespace_files.hpp"
#include "ch/hosted/request.hpp"
#include "ch/hosted/subordinate_ids.hpp"
#include "ch/hosted/values.hpp"

namespace ch {

namespace detail {

template <class V>
concept OwnsPolicy = requires(const V& value) {
  typename V::Policy;
  { value.policy() } -> std::same_as<typename V::Policy>;
};

/// Values of which all of a kind together make one policy, or that set a member of the container.
template <class V>
concept IsPart = std::same_as<V, Bind> || std::same_as<V, Link> || std::same_as<V, File> ||
    std::same_as<V, Hostname>;

template <class V, class... Values>
inline constexpr bool is_among = (std::same_as<V, Values> || ...);

template <class V>
inline constexpr bool attaches = std::same_as<V, AttachToPid> || std::same_as<V, NamespaceFiles>;

/// Does the value describe what a container consists of? One that is joined consists of it already.
template <class V>
constexpr bool describes_container() {
  if constexpr (OwnsPolicy<V>)
    return MountContributor<typename V::Policy> || IdMapPolicy<typename V::Policy>;
  else
    return IsPart<V> || MountContributor<V> || IdMapPolicy<V>;
}

/// A hana::tuple with the type `Policy` if `there`; else an empty one.
template <class Policy, bool there>
constexpr auto types_if() {
  if constexpr (there)
    return hana::tuple_t<Policy>;
  else
    return hana::tuple_t<>;
}

/// The policy that a value is or owns; none if the value is only a part of one.
template <class V>
constexpr auto own_policy() {
  if constexpr (OwnsPolicy<V>)
    return hana::tuple_t<typename V::Policy>;
  else
    return types_if<V, !IsPart<V>>();
}

template <class V>
inline constexpr bool is_composable =
    OwnsPolicy<V> || IsPart<V> || MountContributor<V> || NamespacePolicy<V> || IdMapPolicy<V> ||
    JoinStrategy<V> || ForgetsConst<V>;  // which has a sentence of its own

/// The Container that `Values` make.
template <class... Values>
constexpr auto compose_values() {
  static_assert((is_composable<Values> && ...),
                "Charlie: ch::compose takes values such as ch::image(PATH), ch::bind(PATH), "
                "ch::devices or ch::as_root, and policies. One of these values is none of them: "
                "for a path, say what it is for.");
  if constexpr (!(is_composable<Values> && ...)) {
    return compose<ImageRoot<>>();  // only so that nothing else is reported
  } else {
    constexpr bool binds = is_among<Bind, Values...>;
    constexpr bool adds = is_among<Link, Values...> || is_among<File, Values...>;
    // Their mount points may be missing in the image.
    constexpr bool layer =
        (binds || adds) && !is_among<Layer, Values...> && !is_among<WritableLayer, Values...>;
    constexpr auto policies = hana::flatten(
        hana::make_tuple(own_policy<Values>()..., types_if<UserBinds, binds>(),
                         types_if<Additions, adds>(), types_if<WritableLayer, layer>()));
    return hana::unpack(policies,
                        [](auto... types) { return compose<typename decltype(types)::type...>(); });
  }
}

/// Assigns policies to the members of a container by their kind.
template <class ContainerT>
struct Filler {
  ContainerT& container;

  template <class P>
  void operator()(const P& policy) const noexcept {
    if constexpr (NamespacePolicy<P>)
      container.namespaces = policy;
    else if constexpr (IdMapPolicy<P>)
      container.ids = policy;
    else if constexpr (JoinStrategy<P>)
      container.join = policy;
    else
      container.mounts.template get<P>() = policy;
  }
};

}  // namespace detail

/// A container that owns what it names. Copyable; made by compose. Several threads may use a const
/// one at once.
template <class... Values>
class Box {
 public:
  using container_type = typename decltype(detail::compose_values<Values...>())::type;

  // Instantiates it here, so that errors point at the composition.
  static_assert(sizeof(container_type) > 0);  // NOLINT(bugprone-sizeof-expression)
  static_assert(!(detail::attaches<Values> || ...) ||
                    !(detail::describes_container<Values>() || ...),
                "Charlie: ch::attach joins a container that exists already; leave out the image, "
                "mounts, ids and host name, or leave out ch::attach.");

  constexpr explicit Box(Values... values) : values_(std::move(values)...) {}

  /// The typed Container, whose views point into this object and into `arena`. ENOMEM: the arena is
  /// too small.
  [[nodiscard]] Outcome<container_type> container(Arena& arena) const {
    container_type made;
    bool full = false;
    std::apply([&](const auto&... value) { (put(made, value), ...); }, values_);
    if constexpr (has<Bind>)
      made.mounts.template get<UserBinds>().binds = gather<Bind, UserBind>(arena, full);
    if constexpr (has<Link>)
      made.mounts.template get<Additions>().links = gather<Link, UserLink>(arena, full);
    if constexpr (has<File>)
      made.mounts.template get<Additions>().files = gather<File, UserFile>(arena, full);
    if (full) return detail::no_memory();
    return made;
  }

  /// See Plannable. With an image, its environment, PATH and working directory apply.
  [[nodiscard]] Outcome<Plan> plan(const HostFacts& facts, const Request& request,
                                   Arena& arena) const {
    std::optional<Failure> problem;
    std::apply([&](const auto&... value) { (note_problem(problem, value), ...); }, values_);
    if (problem) return *std::move(problem);
    if (std::apply([](const auto&... value) { return (detail::has_nul(value) || ...); }, values_))
      return detail::embedded_nul("describe the container");
    Outcome<container_type> made = container(arena);
    if (!made) return made.error();
    ImageRoot<> image;
    if constexpr (has<Image>) image = std::get<Image>(values_).policy();
    return detail::plan_program(*made, image, facts, request, arena);
  }

 private:
  template <class V>
  static constexpr bool has = detail::is_among<V, Values...>;

  template <class V>
  static void put(container_type& made, const V& value) noexcept {
    if constexpr (std::same_as<V, Hostname>)
      made.hostname = value.name.c_str();
    else if constexpr (detail::OwnsPolicy<V>)
      detail::Filler<container_type>{made}(value.policy());
    else if constexpr (!detail::IsPart<V>)
      detail::Filler<container_type>{made}(value);
  }
  /// Some values learn while they are made that no container can be made of them.
  template <class V>
  static void note_problem(std::optional<Failure>& problem, const V& value) {
    if constexpr (requires { value.problem(); })
      if (!problem) problem = value.problem();
  }
  /// Views of all values of type V, in `arena`.
  template <class V, class Element>
  [[nodiscard]] std::span<const Element> gather(Arena& arena, bool& full) const noexcept {
    auto all = arena.sequence<Element>((0 + ... + (std::same_as<V, Values> ? 1 : 0)));
    const auto add = [&]<class Other>(const Other& value) noexcept {
      if constexpr (std::same_as<Other, V>) full = !all.push_back(value.view()) || full;
    };
    std::apply([&](const auto&... value) { (add(value), ...); }, values_);
    return all.span();
  }

  std::tuple<Values...> values_;
};

/// The container of these values, in whatever order they come: mounts in a fixed order (see
/// mount_order), binds in the order given. Defaults: user and mount namespaces, the same ids, not
/// shared. A combination that can't work does not compile, with a message that says why.
///
///     const auto box = ch::compose(ch::image("/img"), ch::devices, ch::bind("/scratch"),
///                                  ch::as_root);
template <class... Values>
[[nodiscard]] Box<std::decay_t<Values>...> compose(Values&&... values) {
  return Box<std::decay_t<Values>...>(std::forward<Values>(values)...);
}

/// No container at all: `ch::run(ch::host, {"newuidmap", ...})` starts a program of the host like
/// any other, and `ch::spawn_call(ch::host, f)` calls a function in a copy of this process.
inline constexpr Box<NamespaceSet<>, KeepIds> host{NamespaceSet<>{}, KeepIds{}};

}  // namespace ch
