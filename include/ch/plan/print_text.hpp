// SPDX-License-Identifier: Apache-2.0
//
// Floor 3. A plan as text for people: one numbered line per step. Lines go to a sink as
// they are made, so that a plan of any length needs no buffer.
#pragma once

#include "ch/plan/plan.hpp"

namespace ch {

/// Writes the kinds in `flags` as "user, mnt", with `separator` between them.
inline void write_namespaces(TextWriter& out, NamespaceFlags flags,
                             std::string_view separator = ", ") noexcept {
  bool first = true;
  for (const NamespaceKind& kind : namespace_kinds) {
    if (!contains(flags, kind.flag)) continue;
    if (!first) out << separator;
    out << kind.name;
    first = false;
  }
}

namespace detail {

/// One line per kind of step, without number and newline.
struct StepText {
  TextWriter& out;

  void operator()(const step::CreateNamespaces& s) const noexcept {
    out << "make namespaces: ";
    write_namespaces(out, s.flags);
  }
  void operator()(const step::JoinNamespaces& s) const noexcept {
    out << "join namespaces of process " << static_cast<int>(s.pid) << ": ";
    write_namespaces(out, s.flags);
  }
  void operator()(const step::MeetPeers& s) const noexcept {
    if (s.expected == 0)
      out << "join the container of tag " << s.tag << " if it lives, and skip to its peers' step";
    else
      out << "meet the " << s.expected << " peers of group " << s.tag
          << "; whoever is not the first waits, joins, and skips to the end of the creator's steps";
  }
  void operator()(const step::AdmitPeers& s) const noexcept {
    if (s.group.expected == 0)
      out << "let others find the container of tag " << s.group.tag;
    else
      out << "as the creator, hand the namespaces to the other peers when all " << s.group.expected
          << " are there";
  }
  void operator()(const step::DenySetgroups&) const noexcept { out << "deny setgroups"; }
  void operator()(const step::MapUsers& s) const noexcept { map("uid", s); }
  void operator()(const step::MapGroups& s) const noexcept { map("gid", s); }
  void operator()(const step::MakePrivate&) const noexcept {
    out << "cut all mounts off from the host's";
  }
  void operator()(const step::OpenImage& s) const noexcept {
    out << "open image " << s.image.text;
    access(s.access);
  }
  void operator()(const step::MakeScratch& s) const noexcept {
    out << "make a tmpfs for generated files";
    if (!s.size.empty()) out << ", size " << s.size;
  }
  void operator()(const step::Overlay& s) const noexcept {
    if (s.kind == OverlayKind::if_needed)
      out << "overlay the image if mount points are missing";
    else if (s.kind == OverlayKind::scratch)
      out << "overlay the image with the tmpfs, writable";
    else
      out << "overlay the image with " << s.directory.text << ", writable and kept";
  }
  void operator()(const step::MakeScratchDirectory& s) const noexcept {
    out << "make directory tmpfs:" << s.path.text;
  }
  void operator()(const step::WriteScratchFile& s) const noexcept {
    out << "write file tmpfs:" << s.path.text << ", "
        << static_cast<std::uint64_t>(s.content.size()) << " bytes";
  }
  void operator()(const step::MakeLink& s) const noexcept {
    out << "link " << s.destination.text << " to " << s.target;
  }
  void operator()(const step::Bind& s) const noexcept {
    out << "bind " << s.source.text << " on " << s.destination.text;
    access(s.access);
    optional(s.if_missing);
  }
  void operator()(const step::BindScratch& s) const noexcept {
    out << "bind tmpfs:" << s.source.text << " on " << s.destination.text;
    access(s.access);
    optional(s.if_missing);
  }
  void operator()(const step::MountFilesystem& s) const noexcept {
    out << "mount a new " << s.type << " on " << s.destination.text;
  }
  void operator()(const step::EnterRoot&) const noexcept {
    out << "make this tree the root and let go of the host's";
  }
  void operator()(const step::ChangeDirectory& s) const noexcept {
    out << "change directory to " << s.path.text;
    if (s.if_missing == IfMissing::skip) out << ", if it exists";
  }
  void operator()(const step::InstallFilter& s) const noexcept {
    out << "install a seccomp filter of " << static_cast<std::uint64_t>(s.program.size())
        << " instructions";
  }
  void operator()(const step::ForbidNewPrivileges&) const noexcept {
    out << "forbid new privileges";
  }
  void operator()(const step::SetHostname& s) const noexcept {
    out << "set the host name to " << s.name;
  }
  void operator()(const step::Redirect& s) const noexcept {
    out << "put descriptor " << static_cast<int>(s.from) << " in the place of "
        << static_cast<int>(s.to);
  }
  void operator()(const step::CloseDescriptors& s) const noexcept {
    out << "close descriptors from 3 on";
    for (const int kept : s.keep) out << (kept == s.keep.front() ? " except " : ", ") << kept;
  }
  void operator()(const step::Execute& s) const noexcept {
    out << "execute";
    if (s.argv != nullptr)
      for (const char* const* word = s.argv; *word != nullptr; ++word) out << ' ' << *word;
    if (s.name.view().find('/') == std::string_view::npos)
      out << "  (from " << s.search_path << ')';
  }

 private:
  template <class Map>
  void map(const char* what, const Map& s) const noexcept {
    out << "map " << what << ' ';
    range(static_cast<unsigned>(s.range.inside), static_cast<unsigned>(s.range.outside),
          s.range.count);
    for (const IdLine& line : s.more) {
      out << "; ";
      range(line.inside, line.outside, line.count);
    }
  }
  void range(unsigned inside, unsigned outside, unsigned count) const noexcept {
    out << inside << " inside to " << outside << " outside";
    if (count != 1) out << ", and " << count - 1 << " more";
  }
  void access(Access a) const noexcept {
    if (a == Access::read_only) out << ", read-only";
  }
  void optional(IfMissing m) const noexcept {
    if (m == IfMissing::skip) out << ", if both exist";
  }
};

}  // namespace detail

/// Writes what `step` does, in a line without number and end.
inline void write_step(TextWriter& out, const Step& step) noexcept {
  std::visit(detail::StepText{out}, step);
}

/// Hands `sink(std::string_view)` one line per step. Lines longer than 4 KiB are cut.
template <class Sink>
void print_text(const Plan& plan, Sink&& sink) {
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    TextBuffer<4352> line;
    const auto number = static_cast<std::uint64_t>(i + 1);
    line << (number < 10 ? " " : "") << number << "  ";
    write_step(line, plan.steps[i]);
    line << '\n';
    sink(line.view());
  }
}

}  // namespace ch
