// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. The names by which a layer removes what lower layers have: ".wh.NAME" hides NAME,
// ".wh..wh..opq" everything in its directory. They are markers, never files of an image, and
// anything ambiguous is refused.
// Source: OCI image specification, layer.md, "Whiteouts".
#pragma once

#include "ch/image/member_path.hpp"

namespace ch::images {

/// What the name of a layer's member means.
struct Whiteout {
  enum class Kind {
    none,    // an ordinary name
    hides,   // removes `path`
    opaque,  // removes everything in the directory `path`
    note,    // internal to AUFS: ignored
  } kind = Kind::none;
  std::string path;
};

/// Reads `path`, in normal form. Throws hostile for members below a whiteout, and for
/// whiteouts of "", "." and "..".
[[nodiscard]] inline Whiteout parse_whiteout(std::string_view path) {
  constexpr std::string_view prefix = ".wh.";
  if (path.find(prefix) == std::string_view::npos) return {};
  const std::string_view parent = io::parent_of(path);
  if (parent.starts_with(prefix) || parent.find("/.wh.") != std::string_view::npos)
    throw io::Failed(io::Reason::hostile, {}, "a member lies below a whiteout");
  const std::string_view name = io::base_of(path);
  if (!name.starts_with(prefix)) return {};
  const std::string_view hidden = name.substr(prefix.size());
  if (hidden == ".wh..opq") return {Whiteout::Kind::opaque, std::string(parent)};
  if (hidden.starts_with(prefix)) return {Whiteout::Kind::note, {}};
  if (hidden.empty() || hidden == "." || hidden == "..")
    throw io::Failed(io::Reason::hostile, {}, "a whiteout that names no file");
  std::string at(parent);
  if (!at.empty()) at += '/';
  return {Whiteout::Kind::hides, at.append(hidden)};
}

}  // namespace ch::images
