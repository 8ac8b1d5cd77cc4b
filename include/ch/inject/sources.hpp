// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Where the list of files to inject comes from: the output of a command, a
// file, one path, NVIDIA's tool, or what Cray's administrators put in the environment.
// A list has one path per line; if it contains NUL bytes, those separate paths instead, so that
// paths may contain newlines. Source: ch-fromhost's manual page.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "ch/io/directory.hpp"
#include "ch/io/text.hpp"
#include "ch/run.hpp"

namespace ch::injection {

/// One file to put into the image.
struct Request {
  std::string path;                        // on the host
  std::optional<std::string> destination;  // directory in the image; none: chosen by kind
  std::string origin{};                    // what listed it, for messages; empty: named explicitly
  std::string otherwise{};                 // directory if it is neither program nor library, made
                                           // if missing; empty: there is none
};

/// The paths in a list.
[[nodiscard]] inline std::vector<std::string> paths_in_list(std::string_view text) {
  constexpr std::string_view nul("\0", 1);
  return io::split(text, text.find(nul) == std::string_view::npos ? "\n" : nul);
}

/// The words of a command: split on blanks, with no shell.
[[nodiscard]] inline std::vector<std::string> words_of(std::string_view command) {
  return io::split(command, " \t\n");
}

/// How a program ended, to follow "it" in a message.
[[nodiscard]] inline std::string end_of(const ExitStatus& end) {
  return end.signal != 0 ? std::string("was killed: ") + ::strsignal(end.signal)
                         : "failed with status " + std::to_string(end.code);
}

/// What a command printed, or why it failed: "it failed with status 3".
struct CommandOutput {
  std::string text, problem;
};

/// Runs `words` and returns its output. It inherits our standard input and error.
[[nodiscard]] inline CommandOutput output_of(std::vector<std::string> words) {
  if (words.empty()) return {{}, "it is empty"};
  const std::string name = words[0];
  auto child = spawn(host, Command(std::move(words)),
                     {.out = Stream::pipe(), .descriptors = io::inherited_descriptors()});
  if (!child) {
    const Failure& why = child.error();
    return {{},
            "it can't be started: " +
                (why.code == Errno::none ? why.cause : io::errno_text(static_cast<int>(why.code)))};
  }
  std::string text = io::read_all(child->out(), name);
  const Outcome<ExitStatus> end = child->wait();
  if (!end) return {{}, "it is not known how it ended: " + end.error().cause};
  if (*end != ExitStatus{}) return {{}, "it " + end_of(*end)};
  return {std::move(text), {}};
}

[[nodiscard]] inline std::vector<std::string> paths_from_command(const std::string& command) {
  const CommandOutput output = output_of(words_of(command));
  if (!output.problem.empty())
    throw io::Failed(io::printable(command), "command failed (" + output.problem + ")",
                     "run it by hand; it is split at blanks and run without a shell");
  return paths_in_list(output.text);
}

[[nodiscard]] inline std::vector<std::string> paths_from_file(const std::string& path) {
  const io::Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd)
    throw io::Failed(io::printable(path),
                     "can't read the list of files (" + io::errno_text(errno) + ")",
                     "give a list of files to inject, one per line", errno);
  return paths_in_list(io::read_all(fd.get(), path));
}

/// As NVIDIA recommends: programs and libraries of the driver that runs on this host.
[[nodiscard]] inline std::vector<std::string> paths_from_nvidia() {
  const CommandOutput output =
      output_of({"nvidia-container-cli", "list", "--binaries", "--libraries"});
  if (!output.problem.empty())
    throw io::Failed(
        {}, "nvidia-container-cli failed (" + output.problem + "); does this host have GPUs?",
        "run this on a node with a GPU and NVIDIA's libnvidia-container tools: "
        "nvidia-container-cli list --binaries --libraries");
  return paths_in_list(output.text);
}

/// The path in `variable`, which the administrator of a Cray sets.
[[nodiscard]] inline std::string path_from_variable(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr || *value == '\0')
    throw io::Failed({}, std::string(variable) + " is not set",
                     "set it to the path of the host's library, or load the module that does");
  return value;
}

}  // namespace ch::injection
