// SPDX-License-Identifier: Apache-2.0
//
// Floor 3. A plan as JSON, for programs: an object with the way of assembly and an array
// of steps, each with its name and its data. Bytes that are no valid UTF-8 come out as
// the code points U+0080..U+00FF of their values, so that the output is always JSON.
// Source: RFC 8259.
#pragma once

#include "ch/plan/plan.hpp"

namespace ch {

namespace detail {

/// Length of the well-formed UTF-8 sequence at the start of `text`, or 0.
[[nodiscard]] constexpr std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  const std::size_t n = first < 0x80   ? 1
                        : first < 0xC2 ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                        : first < 0xF5 ? 4
                                       : 0;
  if (n == 0 || n > text.size()) return 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  if (first == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
  if (first == 0xED && byte(1) > 0x9F) return 0;  // surrogate
  if (first == 0xF0 && byte(1) < 0x90) return 0;  // overlong
  if (first == 0xF4 && byte(1) > 0x8F) return 0;  // beyond U+10FFFF
  return n;
}

/// Writes JSON values to a sink, piece by piece.
template <class Sink>
class JsonWriter {
 public:
  explicit JsonWriter(Sink& sink) noexcept : sink_(sink) {}

  void raw(std::string_view text) { sink_(text); }
  void raw(const char* text) { sink_(text); }
  void string(const char* text) { string(std::string_view(text)); }
  /// Begins a datum that follows another.
  void key(const char* name) {
    raw(", ");
    string(name);
    raw(": ");
  }
  void string(std::string_view text) {
    raw("\"");
    while (!text.empty()) {
      const std::size_t n = utf8_length(text);
      const auto c = static_cast<unsigned char>(text[0]);
      TextBuffer<8> escaped;
      if (n == 0 || c < 0x20) {
        constexpr const char* digits = "0123456789abcdef";
        escaped << "\\u00" << digits[c / 16] << digits[c % 16];
      } else if (c == '"' || c == '\\') {
        escaped << '\\' << static_cast<char>(c);
      }
      raw(escaped.view().empty() ? head(text, n) : escaped.view());
      text.remove_prefix(n == 0 ? 1 : n);
    }
    raw("\"");
  }
  void number(std::uint64_t value) {
    TextBuffer<24> text;
    text << value;
    raw(text.view());
  }

 private:
  Sink& sink_;
};

/// As in uid_map.
inline void write_map_lines(TextWriter& out, std::span<const IdLine> lines) noexcept {
  for (const IdLine& line : lines)
    out << line.inside << ' ' << line.outside << ' ' << line.count << '\n';
}

/// Calls `visit(key, value)` for each datum of a step, and answers the step's name.
struct StepData {
  template <class V>
  static const char* of(const step::CreateNamespaces& s, V&& v) {
    v("namespaces", s.flags);
    return "create-namespaces";
  }
  template <class V>
  static const char* of(const step::JoinNamespaces& s, V&& v) {
    v("pid", static_cast<std::uint64_t>(s.pid));
    v("namespaces", s.flags);
    return "join-namespaces";
  }
  template <class V>
  static const char* of(const step::MeetPeers& s, V&& v) {
    group(s, v);
    return "meet-peers";
  }
  template <class V>
  static const char* of(const step::AdmitPeers& s, V&& v) {
    group(s.group, v);
    return "admit-peers";
  }
  template <class V>
  static const char* of(const step::DenySetgroups&, V&&) {
    return "deny-setgroups";
  }
  template <class V>
  static const char* of(const step::MapUsers& s, V&& v) {
    map({static_cast<unsigned>(s.range.inside), static_cast<unsigned>(s.range.outside),
         s.range.count},
        s.more, v);
    return "map-users";
  }
  template <class V>
  static const char* of(const step::MapGroups& s, V&& v) {
    map({static_cast<unsigned>(s.range.inside), static_cast<unsigned>(s.range.outside),
         s.range.count},
        s.more, v);
    return "map-groups";
  }
  template <class V>
  static const char* of(const step::MakePrivate&, V&&) {
    return "make-private";
  }
  template <class V>
  static const char* of(const step::OpenImage& s, V&& v) {
    v("image", s.image.view());
    v("access", s.access);
    return "open-image";
  }
  template <class V>
  static const char* of(const step::MakeScratch& s, V&& v) {
    v("size", s.size.view());
    return "make-scratch";
  }
  template <class V>
  static const char* of(const step::Overlay& s, V&& v) {
    constexpr const char* kinds[] = {"if-needed", "scratch", "directory"};
    v("kind", std::string_view(kinds[static_cast<std::size_t>(s.kind)]));
    v("directory", s.directory.view());
    return "overlay";
  }
  template <class V>
  static const char* of(const step::MakeScratchDirectory& s, V&& v) {
    v("path", s.path.view());
    return "make-scratch-directory";
  }
  template <class V>
  static const char* of(const step::WriteScratchFile& s, V&& v) {
    v("path", s.path.view());
    v("content", s.content);
    return "write-scratch-file";
  }
  template <class V>
  static const char* of(const step::MakeLink& s, V&& v) {
    v("target", s.target.view());
    v("destination", s.destination.view());
    return "make-link";
  }
  template <class V>
  static const char* of(const step::Bind& s, V&& v) {
    bind(s, v);
    return "bind";
  }
  template <class V>
  static const char* of(const step::BindScratch& s, V&& v) {
    bind(s, v);
    return "bind-scratch";
  }
  template <class V>
  static const char* of(const step::MountFilesystem& s, V&& v) {
    v("type", std::string_view(s.type));
    v("destination", s.destination.view());
    return "mount-filesystem";
  }
  template <class V>
  static const char* of(const step::EnterRoot&, V&&) {
    return "enter-root";
  }
  template <class V>
  static const char* of(const step::ChangeDirectory& s, V&& v) {
    v("path", s.path.view());
    v("if_missing", s.if_missing);
    return "change-directory";
  }
  template <class V>
  static const char* of(const step::InstallFilter& s, V&& v) {
    v("instructions", static_cast<std::uint64_t>(s.program.size()));
    return "install-filter";
  }
  template <class V>
  static const char* of(const step::ForbidNewPrivileges&, V&&) {
    return "forbid-new-privileges";
  }
  template <class V>
  static const char* of(const step::SetHostname& s, V&& v) {
    v("name", s.name.view());
    return "set-hostname";
  }
  template <class V>
  static const char* of(const step::Redirect& s, V&& v) {
    v("from", static_cast<std::uint64_t>(s.from));
    v("to", static_cast<std::uint64_t>(s.to));
    return "redirect";
  }
  template <class V>
  static const char* of(const step::CloseDescriptors& s, V&& v) {
    v("keep", s.keep);
    return "close-descriptors";
  }
  template <class V>
  static const char* of(const step::Execute& s, V&& v) {
    v("name", s.name.view());
    v("argv", s.argv);
    v("envp", s.envp);
    v("search_path", s.search_path);
    return "execute";
  }

 private:
  template <class V>
  static void group(const step::MeetPeers& s, V&& v) {
    v("tag", s.tag.view());
    v("peers", static_cast<std::uint64_t>(s.expected));
    v("timeout_ms", s.timeout / 1'000'000);
  }
  template <class V>
  static void map(const IdLine& first, std::span<const IdLine> more, V&& v) {
    v("inside", static_cast<std::uint64_t>(first.inside));
    v("outside", static_cast<std::uint64_t>(first.outside));
    v("count", static_cast<std::uint64_t>(first.count));
    TextBuffer<1024> lines;
    write_map_lines(lines, more);
    if (!more.empty()) v("more", lines.view());
  }
  template <class S, class V>
  static void bind(const S& s, V&& v) {
    v("source", s.source.view());
    v("destination", s.destination.view());
    v("access", s.access);
    v("if_missing", s.if_missing);
  }
};

/// One datum as JSON, by its type.
template <class Sink>
struct JsonDatum {
  JsonWriter<Sink>& json;

  void operator()(const char* key, auto value) const {
    json.key(key);
    write(value);
  }

 private:
  void write(std::string_view text) const { json.string(text); }
  void write(std::uint64_t number) const { json.number(number); }
  void write(Access a) const { json.string(a == Access::read_only ? "read-only" : "read-write"); }
  void write(IfMissing m) const {
    constexpr const char* names[] = {"fail", "skip", "create"};
    json.string(names[static_cast<std::size_t>(m)]);
  }
  void write(std::span<const int> numbers) const {
    json.raw("[");
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (i > 0) json.raw(", ");
      json.number(static_cast<std::uint64_t>(numbers[i]));
    }
    json.raw("]");
  }
  void write(NamespaceFlags flags) const {
    json.raw("[");
    bool first = true;
    for (const NamespaceKind& kind : namespace_kinds) {
      if (!contains(flags, kind.flag)) continue;
      if (!first) json.raw(", ");
      json.string(kind.name);
      first = false;
    }
    json.raw("]");
  }
  void write(const char* const* words) const {
    json.raw("[");
    for (std::size_t i = 0; words != nullptr && words[i] != nullptr; ++i) {
      if (i > 0) json.raw(", ");
      json.string(words[i]);
    }
    json.raw("]");
  }
};

}  // namespace detail

/// Hands `sink(std::string_view)` the plan as one JSON object, a step a line.
template <class Sink>
void print_json(const Plan& plan, Sink&& sink) {
  detail::JsonWriter<std::remove_reference_t<Sink>> json(sink);
  constexpr const char* names[] = {"detached", "attached", "classic"};
  json.raw("{\"assembly\": ");
  json.string(names[static_cast<std::size_t>(plan.assembly)]);
  json.raw(", \"steps\": [");
  bool first = true;
  for (const Step& step : plan.steps) {
    json.raw(first ? "\n  {\"step\": " : ",\n  {\"step\": ");
    first = false;
    std::visit(
        [&](const auto& s) {
          json.string(detail::StepData::of(s, [](const char*, auto) {}));
          (void)detail::StepData::of(s, detail::JsonDatum<std::remove_reference_t<Sink>>{json});
        },
        step);
    json.raw("}");
  }
  json.raw("\n]}\n");
}

}  // namespace ch
