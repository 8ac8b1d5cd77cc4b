// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The state of one launch, shared by its parts.
#pragma once

#include "apps/ch-run/launch_kernel.hpp"
#include "apps/ch-run/messages.hpp"
#include "apps/ch-run/options.hpp"
#include "ch/host_integrated.hpp"
#include "ch/plan/host_facts.hpp"
#include "ch/text_file.hpp"

namespace ch_run {

using namespace ch;

/// The state of one launch.
struct Launch {
  Arena& arena;
  const char* const* envp;
  kernel::Linux machine{};
  LaunchKernel k{machine};
  Options options{};
  HostFacts facts{};
  Environment environment;
  HostIntegrated made{};
  TextBuffer<1024> problem{};          // what went wrong during preparation, if anything
  const char* remedy = nullptr;        // and what to do about it
  const char* configurations[2] = {};  // the files that gave options
  mutable bool home_is_known = false;  // home was reported as missing

  Launch(Arena& a, const char* const* e) noexcept : arena(a), envp(e), environment(a, e) {}
  [[nodiscard]] Messages messages() const noexcept {
    const char* no_color = environment.get("NO_COLOR");
    return {options.color, options.quietness, no_color != nullptr && no_color[0] != '\0'};
  }
  /// Reports that a file can't be read completely. Keeps an existing remedy, unless the file is too
  /// long.
  void report_unreadable(std::string_view attempt, std::string_view path, Errno code) noexcept {
    problem << attempt << path << ": ";
    if (code != Errno::efbig) {
      problem << code;
      return;
    }
    problem << "this is longer than " << std::uint64_t{max_text_file_size}
            << " bytes, the most that is read of such a file";
    remedy = "check that it is the right file, or split it";
  }
  /// Warns of options without effect, since another process has made the container.
  void on_joined(const Gathering& group) const noexcept {
    if (group.theirs == group.made_of) return;
    TextBuffer<640> text;
    text << "joined the container of process " << static_cast<int>(group.creator)
         << ", which differs from what this one was asked for: ";
    write_differences(text, group.made_of, group.theirs);
    if (group.theirs.image != group.made_of.image)
      text << " (" << group.image.view() << " instead of " << options.image.text << ')';
    messages().warning(text.view());
  }
  /// Warns that the home directory is missing, so that what is written to ~ goes to memory. Only
  /// once, though the mounts may be assembled twice.
  void on_skipped(const step::Bind& bind) const noexcept {
    const HostPath& home = made.container.mounts.get<Home>().source;
    if (home_is_known || home.empty() || bind.source.text != home.text) return;
    home_is_known = true;
    TextBuffer<640> text;
    text << "your home directory " << home.text
         << " is not a directory on this host: " << bind.destination.text
         << " is memory, and what is written there is lost at the end";
    messages().warning(text.view());
  }
  /// Warns of what was made for a launch that failed and was not removed, since others may use it.
  void on_left(ZString path) const noexcept {
    TextBuffer<640> text;
    text << "what was made for this run at " << path << " stays there";
    messages().warning(text.view());
  }
};

}  // namespace ch_run
