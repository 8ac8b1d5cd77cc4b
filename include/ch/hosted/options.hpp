// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. How a program is started, besides what it is and in which container: one
// aggregate, so that designated initialisers name what differs from the usual.
#pragma once

#include "ch/hosted/command.hpp"
#include "ch/hosted/duration.hpp"
#include "ch/hosted/stream.hpp"

namespace ch {

/// What becomes of the environment of this process in the container.
enum class Inherit : std::uint8_t { environment, nothing };

/// For spawn and run.
struct Options {
  Stream in{};
  Stream out{};
  Stream err{};
  /// NAME=VALUE each; `$NAME` in a value is not replaced. After what this process has, and
  /// after what the image asks for.
  std::vector<std::string> environment{};
  std::vector<std::string> unset{};  // globs of names, before `environment`
  Inherit inherit = Inherit::environment;
  /// To start in; the image's working directory if it has one, else `/`.
  Given directory{};
  /// That the program has besides 0, 1 and 2, under the same numbers, close-on-exec or not. Those
  /// that launchers of MPI and make name to their children it has anyway, and no others.
  std::vector<int> descriptors{};
};

/// For capture.
struct CaptureOptions {
  Given input{};                              // bytes of its standard input; none: /dev/null
  Duration timeout{};                         // 0: none; negative: over. Then it is killed
  std::size_t limit = std::size_t{64} << 20;  // bytes of output and errors together; as above
  Stream err = Stream::pipe();                // captured, or whatever else
  std::vector<std::string> environment{};
  std::vector<std::string> unset{};
  Inherit inherit = Inherit::environment;
  Given directory{};
  std::vector<int> descriptors{};
};

}  // namespace ch
