// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Applies one tar to the tree: a plain root file system, or a layer with the
// whiteouts of the OCI image specification (".wh.NAME" hides NAME of lower layers,
// ".wh..wh..opq" all of the directory), wherever in the layer they stand.
// Source: OCI image specification, layer.md; docs/unpack.md for odd cases.
#pragma once

#include "ch/image/limits.hpp"
#include "ch/image/tree_writer.hpp"
#include "ch/image/whiteout.hpp"

namespace ch::images {

/// In a plain tar, ".wh.x" is an ordinary file.
enum class Whiteouts { ordinary_files, oci };

/// `Tree` is TreeWriter, or a MemberLister, which writes nothing.
template <class Tree>
class LayerApplier {
 public:
  LayerApplier(Tree& tree, Limits& limits, UnpackReport& report, const InputWatch& watch)
      : tree_(tree), limits_(limits), report_(report), watch_(watch) {}

  /// All members of `reader`'s archive, as the next layer. Errors name the member, and
  /// the layer if it has a name. A Reader is an ArchiveReader, or has its next() and content().
  template <class Reader>
  void apply(Reader& reader, Whiteouts whiteouts, const std::string& layer = {}) {
    tree_.begin_layer();
    ++report_.layers;
    Member member;
    try {
      while (reader.next(member)) {
        watch_.check();
        limits_.member();
        if (!member.name.empty() && member.name.front() == '/') ++report_.absolute_names;
        if (whiteouts == Whiteouts::oci && apply_whiteout(member.path)) continue;
        put(member, reader);
      }
    } catch (io::Failed& e) {
      std::string where = printable(member.name);
      if (!layer.empty()) where += (where.empty() ? "(first) in layer " : " in layer ") + layer;
      if (!where.empty()) e.in_member(where);
      throw;
    }
    tree_.settle();
  }

 private:
  template <class Reader>
  void put(const Member& m, Reader& reader) {
    switch (m.kind) {
      case MemberKind::directory:
        ++report_.directories;
        return tree_.directory(m);
      case MemberKind::symlink:
        ++report_.links;
        return tree_.symlink(m);
      case MemberKind::hard_link:
        ++report_.hard_links;
        return tree_.hard_link(m);
      case MemberKind::fifo:
        ++report_.fifos;
        return tree_.fifo(m);
      case MemberKind::device:
        // Those in /dev don't matter: ch-run shows the host's there.
        if (!m.path.starts_with("dev/") && io::parent_of(m.path).find("/dev") == std::string::npos)
          ++report_.devices_skipped;
        return;
      case MemberKind::file:
      case MemberKind::whiteout:  // is told by its name, not by its kind
        break;
    }
    ++report_.files;
    if (!m.sparse) limits_.announced(m.size);
    std::uint64_t total = 0;
    tree_.file(m, [&](Piece& piece) {
      watch_.check();
      if (!reader.content(piece)) return false;
      limits_.content(piece.bytes.size());
      total += piece.bytes.size();
      return true;
    });
    report_.content_bytes += total;
    if (!m.sparse && total != m.size)
      throw io::Failed(io::Reason::damaged, {}, "the content is shorter than announced",
                       "fetch the archive again; it was cut");
  }

  /// Applies a whiteout; false for an ordinary name.
  bool apply_whiteout(const std::string& path) {
    const Whiteout whiteout = parse_whiteout(path);
    if (whiteout.kind == Whiteout::Kind::none) return false;
    ++report_.whiteouts;
    if (whiteout.kind == Whiteout::Kind::opaque) tree_.opaque(whiteout.path);
    if (whiteout.kind == Whiteout::Kind::hides) tree_.whiteout(whiteout.path);
    return true;
  }

  Tree& tree_;
  Limits& limits_;
  UnpackReport& report_;
  const InputWatch& watch_;
};

}  // namespace ch::images
