// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. A plan as JSON, for programs: an object with the assembly mode and an array of steps,
// each with its name and its fields. Bytes that are not valid UTF-8 are written as the code points
// U+0080..U+00FF of their values, so that the output is always valid JSON.
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
  /// Begins a further member of an object.
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

/// A field's value as JSON.
template <class Sink>
struct JsonValue {
  JsonWriter<Sink>& json;

  void operator()(std::string_view text) const { json.string(text); }
  void operator()(Content content) const { json.string(content.bytes); }
  void operator()(std::uint64_t number) const { json.number(number); }
  void operator()(Nanoseconds time) const { json.number(time.count / 1'000'000); }
  void operator()(Access a) const {
    json.string(a == Access::read_only ? "read-only" : "read-write");
  }
  void operator()(IfMissing m) const {
    constexpr const char* names[] = {"fail", "skip", "create"};
    json.string(names[static_cast<std::size_t>(m)]);
  }
  void operator()(Instructions program) const { json.number(program.all.size()); }
  void operator()(Numbers numbers) const {
    json.raw("[");
    for (std::size_t i = 0; i < numbers.all.size(); ++i) {
      if (i > 0) json.raw(", ");
      json.number(static_cast<std::uint64_t>(numbers.all[i]));
    }
    json.raw("]");
  }
  void operator()(NamespaceFlags flags) const {
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
  void operator()(Words words) const {
    json.raw("[");
    for (const char* const* w = words.first; w != nullptr && *w != nullptr; ++w) {
      if (w != words.first) json.raw(", ");
      json.string(*w);
    }
    json.raw("]");
  }
};

}  // namespace detail

/// Passes the plan to `sink(std::string_view)` as one JSON object, one step per line.
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
    const Description description = describe(step);
    json.string(description.name);
    for (const Field& field : description) {
      if (field.audience != Audience::everyone) continue;
      json.key(field.name);
      std::visit(detail::JsonValue<std::remove_reference_t<Sink>>{json}, field.value);
    }
    json.raw("}");
  }
  json.raw("\n]}\n");
}

}  // namespace ch
