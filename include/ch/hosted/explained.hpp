// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. What a box would do, without doing it: its plan as text, JSON or a shell script.
#pragma once

#include "ch/hosted/spawn.hpp"
#include "ch/plan/print_json.hpp"
#include "ch/plan/print_shell.hpp"
#include "ch/plan/print_text.hpp"

namespace ch {

enum class Form : std::uint8_t { text, json, shell };

/// The plan of `box`, and of `command` in it if it has words. Looks at the image and the
/// accounts, changes nothing.
///
///     std::cout << *ch::explain(ch::image("/img"), {"true"});
template <class B>
requires(!std::same_as<B, Error>)
    [[nodiscard]] Outcome<std::string> explain(const B& box, const Command& command = {},
                                               Form form = Form::text) {
  const std::vector<const char*> argv = command.argv();
  const char* const* const environment = detail::begin_environment(Inherit::environment);
  Request request;
  if (!argv.empty()) request.argv = argv.data();
  request.environment = environment;
  request.program = !argv.empty();
  return detail::with_plan(detail::as_box(box), request,
                           [&](const Plan& plan, Arena&) -> Outcome<std::string> {
                             std::string all;
                             const auto add = [&all](std::string_view part) { all.append(part); };
                             if (form == Form::json)
                               print_json(plan, add);
                             else if (form == Form::shell)
                               print_shell(plan, add, environment);
                             else
                               print_text(plan, add);
                             return all;
                           });
}

}  // namespace ch
