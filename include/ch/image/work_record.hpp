// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. A file in a temporary directory that records what is being unpacked there: from it
// another run to the same place learns whether it would make the same image, and whether that is
// done. Lines of JSON, appended; the last complete one counts, so that dying while writing does no
// harm. A run that has the file open can read it even after it is unlinked.
// Source: image/atomic_directory.hpp.
#pragma once

#include <functional>
#include <optional>

#include "ch/image/descriptor.hpp"
#include "ch/image/report_json.hpp"

namespace ch::images {

/// How to deal with other runs to the same place.
struct OtherRuns {
  std::string work{};                       // from work_of(); empty: never the same as another's
  const std::atomic<bool>* stop = nullptr;  // set by a signal handler; stops waiting
  std::function<void()> on_wait{};          // called once, before waiting
};

class WorkRecord {
 public:
  static constexpr const char* file_name = "ch-tar2dir.work";

  struct State {
    std::string work;
    // The inode of the directory that got the final name. Without the device, whose number differs
    // between machines that share a file system.
    std::optional<std::uint64_t> made;
    UnpackReport report;
  };

  /// Opens the record in the directory `holder` for reading. False if there is none yet.
  bool find(int holder) {
    if (!file_)
      file_ = io::Descriptor(
          ::openat(holder, file_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    return static_cast<bool>(file_);
  }
  explicit operator bool() const noexcept { return static_cast<bool>(file_); }
  /// Opens or creates the record, and writes what we are going to do. Throws what man 2 open and
  /// write say.
  void begin(int holder, const std::string& holder_path, const std::string& work) {
    work_ = work;
    path_ = holder_path + "/" + file_name;
    file_ = io::Descriptor(
        ::openat(holder, file_name,
                 O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
    if (!file_) io::throw_errno("make", path_);
    append({{"work", work_}});
  }
  /// Records that the work is done, so that waiting runs need not repeat it.
  void finish(std::uint64_t made, const UnpackReport& report) noexcept {
    try {
      append({{"work", work_}, {"made", made}, {"report", to_json(report)}});
    } catch (...) {  // then they repeat it
    }
  }
  /// The current state; none if the file has no valid record yet.
  [[nodiscard]] std::optional<State> read() const {
    std::string text;
    char buffer[4096];
    for (ssize_t n = 0;
         (n = ::pread(file_.get(), buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0;)
      text.append(buffer, static_cast<std::size_t>(n));
    const std::size_t end = text.rfind('\n');
    if (end == std::string::npos || end == 0) return std::nullopt;
    const std::size_t begin = text.rfind('\n', end - 1);
    if (begin == std::string::npos) return std::nullopt;
    try {
      const auto json = nlohmann::json::parse(text.substr(begin + 1, end - begin - 1));
      State state{json.at("work"), std::nullopt, {}};
      if (json.contains("made")) {
        state.made = json.at("made").get<std::uint64_t>();
        state.report = report_from_json(json.at("report"));
      }
      return state;
    } catch (const nlohmann::json::exception&) {
      return std::nullopt;
    }
  }

 private:
  void append(const nlohmann::json& json) {
    // Begins with a newline, since a dead run may have left an incomplete line.
    const std::string line = '\n' + io::dump_json(json) + '\n';
    for (std::string_view rest = line; !rest.empty();) {
      const ssize_t n = ::write(file_.get(), rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) io::throw_errno("write", path_, n == 0 ? ENOSPC : errno);
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  io::Descriptor file_;
  std::string work_, path_;
};

}  // namespace ch::images
