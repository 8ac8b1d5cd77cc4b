// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. The users of an image, asked for from inside a user namespace, where the kernel does
// not allow inspecting processes outside. So the process that stayed outside answers.
// Source: man 2 ptrace, "Ptrace access mode checking"; man 7 unix, SCM_RIGHTS.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <chrono>

#include "ch/image/image_users.hpp"
#include "ch/image/report_json.hpp"

namespace ch::images {

/// Create it before calling the function that will ask.
class OutsideUsers {
 public:
  /// Throws what man 2 socketpair says. `patience`: how long to wait for an answer.
  explicit OutsideUsers(std::chrono::milliseconds patience = std::chrono::seconds(10))
      : patience_(patience) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      io::throw_errno("make", "a pair of sockets");
    inside_ = io::Descriptor(ends[0]);
    outside_ = io::Descriptor(ends[1]);
  }

  /// The socket that the function needs; and the one that becomes readable outside when it asks.
  [[nodiscard]] int inside() const noexcept { return inside_.get(); }
  [[nodiscard]] int outside() const noexcept { return outside_.get(); }

  /// Inside: as users_of(). Throws if the process outside can't answer in time: it may be blocked
  /// on an unresponsive file system.
  [[nodiscard]] std::vector<ImageUser> of(int image) const {
    ask(image);
    std::string text;
    while (text.empty() || text.back() != '\n') {
      char buffer[4096];
      pollfd ready{inside_.get(), POLLIN, 0};
      const int comes = ::poll(&ready, 1, static_cast<int>(patience_.count()));
      if (comes == 0) io::throw_errno("learn", "who uses the image", ETIMEDOUT);
      if (comes < 0) continue;
      const ssize_t n = ::read(inside_.get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) io::throw_errno("learn", "who uses the image", n == 0 ? EPIPE : errno);
      text.append(buffer, static_cast<std::size_t>(n));
    }
    std::vector<ImageUser> users;
    for (const nlohmann::json& user : nlohmann::json::parse(text))
      users.push_back({user.at("pid").get<pid_t>(), user.at("command")});
    return users;
  }

  /// Outside: answers one request; if it can't, it closes the connection.
  void answer() {
    try {
      if (tell_users()) return;
    } catch (const std::exception&) {
    }
    outside_.reset();
  }

 private:
  /// A message of one byte that can carry a descriptor.
  struct Message {
    Message() {
      header.msg_iov = &part;
      header.msg_iovlen = 1;
      header.msg_control = control;
      header.msg_controllen = sizeof control;
    }
    char byte = 'x';
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr header{};
  };

  /// False when the other end is closed. Throws what users_of() does.
  [[nodiscard]] bool tell_users() const {
    Message message;
    const ssize_t n = ::recvmsg(outside_.get(), &message.header, MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) return true;
    const cmsghdr* const first = n > 0 ? CMSG_FIRSTHDR(&message.header) : nullptr;
    if (first == nullptr) return false;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(first), sizeof fd);
    const io::Descriptor image(fd);
    nlohmann::json users = nlohmann::json::array();
    for (const ImageUser& user : users_of(image.get()))
      users.push_back({{"pid", user.pid}, {"command", user.command}});
    const std::string text = io::dump_json(users) + '\n';
    for (std::string_view rest = text; !rest.empty();) {
      const ssize_t sent = ::send(outside_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return false;
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  void ask(int fd) const {
    Message message;
    cmsghdr* const first = CMSG_FIRSTHDR(&message.header);
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(first), &fd, sizeof fd);
    ssize_t n = 0;
    while ((n = ::sendmsg(inside_.get(), &message.header, MSG_NOSIGNAL)) < 0 && errno == EINTR) {
    }
    if (n < 0) io::throw_errno("ask", "who uses the image");
  }

  std::chrono::milliseconds patience_;
  io::Descriptor inside_, outside_;
};

}  // namespace ch::images
