// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. The attributes that the image's directories get once all their members are in place. An
// archive can have any number of directories with paths of 4095 bytes, so this is a tree that
// stores each name once: 48 bytes plus the name per directory. Nothing in it is recursive, since a
// tree can be as deep as it is large.
#pragma once

#include <sys/stat.h>

#include <cstring>
#include <deque>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "ch/image/archive_reader.hpp"

namespace ch::images {

/// The final attributes of a directory. Its members change its times until they are in place.
struct DirectoryAttributes {
  mode_t mode = 0755;
  timespec modified{};
  bool needs_chmod = false;  // our mkdir did not create it with this mode
  Owner owner{};
};

/// Stores names in blocks, each at a numeric offset. Nothing is freed before destruction.
class NameStore {
 public:
  std::uint32_t add(std::string_view name) {
    if (blocks_.size() >= max_blocks) throw std::bad_alloc();
    if (blocks_.empty() || used_ + name.size() > block) {
      blocks_.push_back(std::make_unique_for_overwrite<char[]>(block));
      used_ = 0;
    }
    const std::size_t at = (blocks_.size() - 1) * block + used_;
    std::memcpy(blocks_.back().get() + used_, name.data(), name.size());
    used_ += name.size();
    return static_cast<std::uint32_t>(at);
  }
  [[nodiscard]] std::string_view get(std::uint32_t at, std::size_t size) const {
    return {blocks_[at / block].get() + at % block, size};
  }

 private:
  static constexpr std::size_t block = 64 * 1024, max_blocks = 64 * 1024;
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t used_ = 0;
};

/// Attributes by path, in normal form. For one thread. Throws std::bad_alloc.
class DirectoryTable {
 public:
  DirectoryTable() { add(no_node, ""); }

  /// Notes the final attributes of the directory at `path`.
  void announce(std::string_view path, const DirectoryAttributes& attributes) {
    std::uint32_t at = 0;
    each_name(path, [&](std::string_view name) {
      const std::uint32_t below = find(at, name);
      at = below != no_node ? below : add(at, name);
      return true;
    });
    Node& node = nodes_[at];
    node.seconds = attributes.modified.tv_sec;
    node.nanoseconds = static_cast<std::uint32_t>(attributes.modified.tv_nsec);
    node.owner = attributes.owner;
    node.mode = static_cast<std::uint16_t>(attributes.mode & 07777);
    node.needs_chmod = attributes.needs_chmod;
    node.has_attributes = true;
  }
  [[nodiscard]] bool announced(std::string_view path) const {
    const std::uint32_t at = find(path);
    return at != no_node && nodes_[at].has_attributes;
  }
  /// What was at `path` and below is gone.
  void forget(std::string_view path) {
    const std::uint32_t at = find(path);
    if (at == no_node || at == 0) return;
    nodes_[at].gone = true;  // its descendants are then unreachable
    if (nodes_.size() >= compact_at_) compact();
  }

  /// Goes through the tree of directories that were announced. `enter(name, path_of)` steps
  /// into one, or returns false to skip it; `leave(attributes, path_of)` steps out again,
  /// `attributes` which is null for a directory that was never announced. Children come before
  /// their parents' leave(). path_of() makes the path as a string, for messages.
  template <class Enter, class Leave>
  void walk(Enter&& enter, Leave&& leave) {
    link_children();
    for (std::uint32_t at = 0; at != no_node;) {
      const auto path = [&](std::uint32_t of) { return [this, of] { return path_of(of); }; };
      const std::uint32_t child = nodes_[at].child;
      if (child != no_node) {
        nodes_[at].child = nodes_[child].sibling;
        if (enter(std::string(name_of(child)), path(child))) at = child;
        continue;
      }
      const DirectoryAttributes attributes = attributes_of(nodes_[at]);
      leave(nodes_[at].has_attributes ? &attributes : nullptr, path(at));
      at = nodes_[at].parent;
    }
  }

 private:
  static constexpr std::uint32_t no_node = ~std::uint32_t{0};
  struct Node {
    std::uint32_t parent;
    std::uint32_t name;
    std::int64_t seconds = 0;
    std::uint32_t nanoseconds = 0;
    Owner owner;
    std::uint32_t child = no_node, sibling = no_node;  // for walk()
    std::uint16_t mode = 0;
    std::uint8_t name_size;
    bool has_attributes : 1 = false, needs_chmod : 1 = false, gone : 1 = false;
    Node(std::uint32_t above, std::uint32_t at, std::size_t size)
        : parent(above), name(at), name_size(static_cast<std::uint8_t>(size)) {}
  };
  static_assert(sizeof(Node) <= 48 && max_name <= 255);

  static DirectoryAttributes attributes_of(const Node& node) {
    return {node.mode, {node.seconds, node.nanoseconds}, node.needs_chmod, node.owner};
  }
  template <class Each>
  static void each_name(std::string_view path, Each&& each) {
    while (!path.empty()) {
      const std::size_t end = std::min(path.find('/'), path.size());
      if (!each(path.substr(0, end))) return;
      path.remove_prefix(std::min(end + 1, path.size()));
    }
  }
  [[nodiscard]] std::string_view name_of(std::uint32_t at) const {
    return names_.get(nodes_[at].name, nodes_[at].name_size);
  }
  [[nodiscard]] std::string path_of(std::uint32_t at) const {
    std::vector<std::uint32_t> way;
    for (; at != 0; at = nodes_[at].parent) way.push_back(at);
    std::string path;
    for (auto step = way.rbegin(); step != way.rend() && path.size() <= max_path; ++step)
      path.append(path.empty() ? "" : "/").append(name_of(*step));
    return path;
  }

  /// The child of `parent` with this name.
  [[nodiscard]] std::uint32_t find(std::uint32_t parent, std::string_view name) const {
    return slots_[slot_of(parent, name)];
  }
  [[nodiscard]] std::uint32_t find(std::string_view path) const {
    std::uint32_t at = 0;
    each_name(path, [&](std::string_view name) { return (at = find(at, name)) != no_node; });
    return at;
  }
  [[nodiscard]] std::size_t slot_of(std::uint32_t parent, std::string_view name) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = (std::hash<std::string_view>{}(name) + parent * 0x9e3779b97f4a7c15U) & mask;
    for (;; at = (at + 1) & mask) {
      if (slots_[at] == no_node) return at;
      const Node& node = nodes_[slots_[at]];
      if (!node.gone && node.parent == parent && name_of(slots_[at]) == name) return at;
    }
  }
  std::uint32_t add(std::uint32_t parent, std::string_view name) {
    if (nodes_.size() >= slots_.size() / 4 * 3) {
      slots_.assign(slots_.empty() ? 64 : slots_.size() * 2, no_node);
      for (std::uint32_t i = 0; i < nodes_.size(); ++i)
        if (!nodes_[i].gone) slots_[slot_of(nodes_[i].parent, name_of(i))] = i;
    }
    const auto made = static_cast<std::uint32_t>(nodes_.size());
    nodes_.emplace_back(parent, names_.add(name), name.size());
    slots_[slot_of(parent, name)] = made;
    return made;
  }

  /// Calls `each` for every node that still exists, parents before children.
  template <class Each>
  void each_there(Each&& each) {
    for (std::uint32_t i = 1; i < nodes_.size(); ++i) {
      Node& node = nodes_[i];
      node.gone = node.gone || nodes_[node.parent].gone;
      if (!node.gone) each(i);
    }
  }
  /// Frees the nodes that are gone; otherwise an archive that keeps replacing directories would
  /// make the table grow without bound.
  void compact() {
    DirectoryTable rest;
    rest.nodes_[0] = nodes_[0];
    std::vector<std::uint32_t> now_at(nodes_.size(), 0);
    each_there([&](std::uint32_t i) {
      now_at[i] = rest.add(now_at[nodes_[i].parent], name_of(i));
      Node copy = nodes_[i];
      copy.parent = now_at[copy.parent];
      copy.name = rest.nodes_[now_at[i]].name;
      rest.nodes_[now_at[i]] = copy;
    });
    rest.compact_at_ = std::max(compact_at_, 2 * rest.nodes_.size());
    *this = std::move(rest);
  }
  void link_children() {
    for (Node& node : nodes_) node.child = node.sibling = no_node;
    each_there([&](std::uint32_t i) {
      Node& parent = nodes_[nodes_[i].parent];
      nodes_[i].sibling = std::exchange(parent.child, i);
    });
  }

  std::deque<Node> nodes_;  // the first one is the root; parents stand before their children
  std::vector<std::uint32_t> slots_;
  NameStore names_;
  std::size_t compact_at_ = 4096;
};

}  // namespace ch::images
