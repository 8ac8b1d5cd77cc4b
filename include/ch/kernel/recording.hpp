// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. A Kernel that only records: an ordered trace of the calls it was asked to make. Each
// returns what a working kernel would, or the error that a test has requested. With it every step
// of a launch can be made to fail once, without privilege and without touching the machine.
#pragma once

#include "ch/kernel/describe.hpp"

namespace ch::kernel {

/// Records up to `Capacity` calls; later ones are only counted.
template <std::size_t Capacity = 256>
class Recording {
 public:
  struct Record {
    Call call = Call::none;
    long result = 0;
    char text[168] = {};
  };

  /// The call with this index (from 0) fails with `code`. Once.
  void fail_at(std::size_t index, Errno code) noexcept {
    fail_index_ = index;
    fail_code_ = code;
  }
  /// Every call of this kind fails with `code`, as on a kernel or under a filter without it.
  void hide(Call call, Errno code = Errno::enosys) noexcept {
    hidden_ = call;
    hidden_code_ = code;
  }
  /// The content of every file; empty by default.
  void set_file_content(std::string_view text) noexcept { content_ = text; }

  template <class... Arguments>
    requires(sizeof...(Arguments) <= 6 && (std::same_as<Arguments, long> && ...))
  long call(Call which, Arguments... arguments) noexcept {
    const long a[6 + 1] = {arguments...};
    const long result = answer(which, a);
    if (size_ < Capacity) {
      Record& record = records_[size_];
      record.call = which;
      record.result = result;
      TextWriter text(record.text, sizeof record.text);
      describe(text, which, {a, sizeof...(Arguments)}, result);
    }
    ++size_;
    return result;
  }

  /// How many calls were made, remembered or not.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::span<const Record> trace() const noexcept {
    return {records_, size_ < Capacity ? size_ : Capacity};
  }
  /// Descriptors that were handed out and not closed since.
  [[nodiscard]] int open_descriptors() const noexcept {
    int open = 0;
    for (const bool used : used_) open += used ? 1 : 0;
    return open;
  }

 private:
  static constexpr int first_fd = 3;

  long answer(Call which, const long* a) noexcept {
    if (size_ == fail_index_) return -static_cast<long>(fail_code_);
    if (which == hidden_) return -static_cast<long>(hidden_code_);
    switch (shape(which).result) {
      case 'd':
        return allocate_fd();
      case 'n':
        return a[2];
      default:
        break;
    }
    switch (which) {
      case Call::close:
        return release_fd(a[0]);
      case Call::statx:
        reinterpret_cast<Statx*>(a[4])->mode = s_ifdir | 0755;
        return 0;
      case Call::read:
        return read_once(a[0], reinterpret_cast<char*>(a[1]), static_cast<std::size_t>(a[2]));
      case Call::uname: {
        TextWriter(reinterpret_cast<UtsName*>(a[0])->release, sizeof(UtsName::release)) << "6.18.0";
        return 0;
      }
      case Call::readlinkat: {
        TextWriter target(reinterpret_cast<char*>(a[2]), static_cast<std::size_t>(a[3]));
        target << "/image";
        return static_cast<long>(target.view().size());
      }
      case Call::geteuid:
      case Call::getegid:
        return 1000;
      case Call::execve:  // a success would not return
        return -static_cast<long>(Errno::enoent);
      default:
        return 0;
    }
  }
  long allocate_fd() noexcept {
    for (int i = 0; i < 512; ++i) {
      if (used_[i]) continue;
      used_[i] = true;
      read_[i] = false;
      return first_fd + i;
    }
    return -static_cast<long>(Errno::emfile);
  }
  long read_once(long fd, char* buffer, std::size_t size) noexcept {
    if (fd < first_fd || fd >= first_fd + 512 || read_[fd - first_fd]) return 0;
    read_[fd - first_fd] = true;
    const std::string_view text = head(content_, size);
    for (std::size_t i = 0; i < text.size(); ++i) buffer[i] = text[i];
    return static_cast<long>(text.size());
  }
  long release_fd(long fd) noexcept {
    if (fd < first_fd || fd >= first_fd + 512 || !used_[fd - first_fd])
      return -static_cast<long>(Errno::ebadf);
    used_[fd - first_fd] = false;
    return 0;
  }

  Record records_[Capacity] = {};
  std::size_t size_ = 0;
  std::size_t fail_index_ = static_cast<std::size_t>(-1);
  Errno fail_code_ = Errno::none;
  Call hidden_ = Call::none;
  Errno hidden_code_ = Errno::enosys;
  std::string_view content_{};
  bool used_[512] = {};
  bool read_[512] = {};
};
static_assert(Kernel<Recording<>>);

}  // namespace ch::kernel
