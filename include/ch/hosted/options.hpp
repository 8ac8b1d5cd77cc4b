// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. How to start a program, apart from the program itself and its container: one aggregate,
// so that designated initialisers name what differs from the default.
#pragma once

#include "ch/hosted/command.hpp"
#include "ch/hosted/duration.hpp"
#include "ch/hosted/stream.hpp"

namespace ch {

/// Does the program inherit the environment of this process?
enum class Inherit : std::uint8_t { environment, nothing };

/// For spawn and run.
struct Options {
  Stream in{};
  Stream out{};
  Stream err{};
  /// NAME=VALUE each; `$NAME` in a value is not replaced. Applied after the environment of this
  /// process and that of the image.
  std::vector<std::string> environment{};
  std::vector<std::string> unset{};  // globs of names, before `environment`
  Inherit inherit = Inherit::environment;
  /// Working directory; default: the image's if it has one, else `/`.
  Given directory{};
  /// Descriptors that the program keeps besides 0, 1 and 2, under the same numbers, close-on-exec
  /// or not. It also keeps those that MPI launchers and make announce to their children, and no
  /// others.
  std::vector<int> descriptors{};
};

/// For capture.
struct CaptureOptions {
  Given input{};                              // bytes of its standard input; none: /dev/null
  Duration timeout{};                         // 0: none; negative: already over. Then it is killed
  std::size_t limit = std::size_t{64} << 20;  // bytes of output and errors together; as above
  Stream err = Stream::pipe();                // captured by default
  std::vector<std::string> environment{};
  std::vector<std::string> unset{};
  Inherit inherit = Inherit::environment;
  Given directory{};
  std::vector<int> descriptors{};
};

}  // namespace ch
