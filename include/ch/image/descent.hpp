// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Walks down into a directory tree and up again, however deep it is. The last few
// directories are held open; above them, ".." leads up, and must be the directory that we came
// from, so that moving a directory meanwhile can't take us elsewhere.
// Source: man 2 openat; man 7 path_resolution.
#pragma once

#include <deque>
#include <vector>

#include "ch/io/descriptor.hpp"

namespace ch::images {

/// For one thread. Allocates 16 bytes for each level beyond the first few.
class Descent {
 public:
  /// Begins in the directory `top`, which the caller keeps open.
  explicit Descent(int top) : top_(top) {}

  /// The current directory. Valid until the next step.
  [[nodiscard]] int fd() const noexcept { return held_.empty() ? top_ : held_.back().get(); }
  [[nodiscard]] bool at_top() const noexcept { return held_.empty(); }

  /// Steps down into `directory`, a subdirectory of fd(). Throws what man 2 fstat says.
  void enter(io::Descriptor directory) {
    if (held_.size() == at_once) {
      above_.push_back(io::identity(held_.front().get()));
      held_.pop_front();
    }
    held_.push_back(std::move(directory));
  }
  /// Steps up. Throws what man 2 openat says of "..", and ESTALE where it is not the directory
  /// that we came from; `name()` is for messages.
  template <class Name>
  void leave(Name&& name) {
    if (held_.size() == 1 && !above_.empty()) {
      io::Descriptor up(::openat(held_.back().get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!up) io::throw_errno("open the directory above", name());
      if (io::identity(up.get()) != above_.back())
        throw io::Failed(io::Reason::system, name(), "it was moved meanwhile", {}, ESTALE);
      above_.pop_back();
      held_.push_front(std::move(up));
    }
    held_.pop_back();
  }

 private:
  static constexpr std::size_t at_once = 8;

  int top_;
  std::vector<io::Identity> above_;  // of levels that are not held open
  std::deque<io::Descriptor> held_;
};

}  // namespace ch::images
