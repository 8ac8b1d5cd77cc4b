// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. host_integrated(image, values...): the container that `ch-run IMAGE` makes, as an
// object that owns what it names. Takes the same values as compose, for what differs from the
// default; a value that it includes anyway is refused at compile time.
#pragma once

#include <vector>

#include "ch/host_integrated.hpp"
#include "ch/hosted/request.hpp"
#include "ch/hosted/values.hpp"

namespace ch {

/// An image integrated with its host: devices, network, accounts, /tmp, home, and the binds, links
/// and files that were asked for. Copyable; made by host_integrated. Const use of one by several
/// threads at once is fine.
class HostIntegratedBox {
 public:
  explicit HostIntegratedBox(Image image) : image_(std::move(image)) {}

  void set(Bind bind) { binds_.push_back(std::move(bind)); }
  void set(Link link) { links_.push_back(std::move(link)); }
  void set(File file) { files_.push_back(std::move(file)); }
  void set(Layer layer) { layer_ = std::move(layer); }
  void set(Hostname name) { hostname_ = std::move(name); }
  void set(Peers peers) { peers_ = std::move(peers); }
  void set(const Tmp<>& tmp) noexcept { tmp_ = tmp.kind.value(); }
  void set(AsRoot) noexcept { ids_ = {Uid::root, Gid::root}; }
  void set(SameIds) noexcept { ids_ = {}; }
  void set(const ChosenIds& ids) noexcept { ids_ = ids; }
  void set(EmulateRoot) noexcept { emulates_root_ = true; }
  template <class... Kinds>
  void set(NamespaceSet<ns::user, ns::mount, Kinds...> all) noexcept {
    namespaces_ = all.flags();
  }

  /// See Plannable.
  [[nodiscard]] Outcome<Plan> plan(const HostFacts& facts, const Request& request,
                                   Arena& arena) const {
    if (detail::has_nul(hostname_) || (layer_ && detail::has_nul(*layer_)))
      return detail::embedded_nul("describe the container");
    if (std::optional<Failure> problem = image_.problem()) return *std::move(problem);
    if (std::optional<Failure> problem = peers_ ? peers_->problem() : std::nullopt)
      return *std::move(problem);
    const auto binds = views<UserBind>(arena, binds_);
    const auto links = views<UserLink>(arena, links_);
    const auto files = views<UserFile>(arena, files_);
    if (binds.size() != binds_.size() || links.size() != links_.size() ||
        files.size() != files_.size())
      return detail::no_memory();

    HostIntegratedChoices choices{.image = HostPath(image_.path.c_str()),
                                  .image_directory = image_.directory,
                                  .image_by = image_.policy().by,
                                  .image_access = image_.access,
                                  .tmp = tmp_,
                                  .binds = binds,
                                  .links = links,
                                  .files = files,
                                  .namespaces = namespaces_,
                                  .hostname = hostname_.name.c_str(),
                                  .uid = ids_.chosen_uid,
                                  .gid = ids_.chosen_gid,
                                  .directory = request.directory,
                                  .command = request.argv,
                                  .environment = request.edits,
                                  .keep_descriptors = request.descriptors,
                                  .emulate_root = emulates_root_};
    if (layer_) choices.layer = layer_->policy();
    if (peers_) choices.join.choice = ChosenJoin::Choice(peers_->policy());
    kernel::Linux k;
    Environment environment(arena, request.environment);
    HostIntegrated made;
    const HostIntegratedProblem problem = integrate(k, facts, choices, environment, made);
    if (problem.code == Errno::enomem) return detail::no_memory();
    if (!problem.ok()) return detail::bad_environment(problem.what);
    made.program.streams = request.streams;
    const Result<Plan> plan = request.program ? made.container.plan(facts, made.program, arena)
                                              : made.container.plan(facts, arena);
    if (!plan) return explain_failure(plan.error(), {});
    return *plan;
  }

 private:
  template <class Element, class V>
  [[nodiscard]] static std::span<const Element> views(Arena& arena,
                                                      const std::vector<V>& values) noexcept {
    auto all = arena.sequence<Element>(values.size());
    for (const V& value : values) (void)all.push_back(value.view());
    return all.span();
  }

  Image image_;
  std::vector<Bind> binds_{};
  std::vector<Link> links_{};
  std::vector<File> files_{};
  std::optional<Layer> layer_{};
  std::optional<Peers> peers_{};
  Hostname hostname_{};
  TmpKind tmp_ = TmpKind::shared_with_host;
  ChosenIds ids_{};
  bool emulates_root_ = false;
  NamespaceFlags namespaces_{};
};

namespace detail {
/// A number for each kind of value that may be given only once; 0 for the others.
template <class V>
constexpr int exclusive_kind() {
  if constexpr (IdMapPolicy<V>) return 1;
  if constexpr (NamespacePolicy<V>) return 2;
  if constexpr (std::same_as<V, Tmp<>>) return 3;
  if constexpr (std::same_as<V, Layer>) return 4;
  if constexpr (std::same_as<V, Hostname>) return 5;
  if constexpr (std::same_as<V, Peers>) return 6;
  return 0;
}
template <class... Values>
constexpr bool contradict() {
  int count[7] = {};
  ((++count[exclusive_kind<Values>()]), ...);
  for (int kind = 1; kind < 7; ++kind)
    if (count[kind] > 1) return true;
  return false;
}

template <class V>
concept ChangesIntegrated = requires(HostIntegratedBox& box, V value) {
  box.set(value);
};
}  // namespace detail

/// What `ch-run IMAGE` makes, with these differences.
///
///     const auto box = ch::host_integrated("/img", ch::bind("/scratch"), ch::as_root);
template <class... Values>
[[nodiscard]] HostIntegratedBox host_integrated(Image image, Values&&... values) {
  constexpr bool fits = (detail::ChangesIntegrated<std::decay_t<Values>> && ...);
  static_assert(fits,
                "Charlie: ch::host_integrated has devices, host files, accounts and home already; "
                "it takes binds, links, files, a layer, a hostname, /tmp, ids, namespaces, "
                "peers and ch::emulate_root. For anything else use ch::compose.");
  static_assert(!detail::contradict<std::decay_t<Values>...>(),
                "Charlie: two values of ch::host_integrated contradict each other; remove one.");
  HostIntegratedBox box(std::move(image));
  if constexpr (fits) (box.set(std::forward<Values>(values)), ...);
  return box;
}
template <class... Values>
[[nodiscard]] HostIntegratedBox host_integrated(Given image_path, Values&&... values) {
  return host_integrated(image(std::move(image_path)), std::forward<Values>(values)...);
}

}  // namespace ch
