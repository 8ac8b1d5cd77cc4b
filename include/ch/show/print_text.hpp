// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. A plan as text for people: one numbered line per step. Lines are passed to a sink one
// by one, so that a plan of any length needs no buffer.
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

/// A field as part of its step's sentence; a default is left out.
struct ValueText {
  TextWriter& out;

  void operator()(std::string_view text) const noexcept { out << text; }
  void operator()(Content content) const noexcept { out << std::uint64_t{content.bytes.size()}; }
  void operator()(std::uint64_t number) const noexcept { out << number; }
  void operator()(Nanoseconds time) const noexcept { out << time.count / 1'000'000 << " ms"; }
  void operator()(NamespaceFlags flags) const noexcept { write_namespaces(out, flags); }
  void operator()(Access access) const noexcept {
    if (access == Access::read_only) out << ", read-only";
  }
  void operator()(IfMissing missing) const noexcept {
    if (missing == IfMissing::skip) out << ", if both exist";
  }
  void operator()(Words words) const noexcept {
    for (const char* const* w = words.first; w != nullptr && *w != nullptr; ++w) out << ' ' << *w;
  }
  void operator()(Numbers numbers) const noexcept {
    bool first = true;
    for (const int number : numbers.all) {
      out << (first ? " except " : ", ") << number;
      first = false;
    }
  }
  void operator()(Instructions program) const noexcept { out << std::uint64_t{program.all.size()}; }
};

}  // namespace detail

/// Writes what `step` does, without line number and newline.
inline void write_step(TextWriter& out, const Step& step) noexcept {
  const Description description = describe(step);
  std::string_view rest(description.sentence);
  for (auto brace = rest.find('{'); brace != std::string_view::npos; brace = rest.find('{')) {
    out << head(rest, brace);
    rest.remove_prefix(brace + 1);
    const std::string_view name = head(rest, rest.find('}'));
    rest.remove_prefix(name.size() + 1);
    for (const Field& field : description)
      if (field.name == name) std::visit(detail::ValueText{out}, field.value);
  }
  out << rest;
}

/// Passes `sink(std::string_view)` one line per step. Lines longer than 4 KiB are truncated.
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
