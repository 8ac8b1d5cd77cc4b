// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Who uses an image, asked from inside a user namespace: there the kernel lets nobody
// look into processes outside. So a process that has stayed outside does it.
// Source: man 2 ptrace, "Ptrace access mode checking"; man 7 unix, SCM_RIGHTS.
#pragma once

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>

#include "ch/image/image_users.hpp"
#include "ch/image/report_json.hpp"

namespace ch::images {

class OutsideUsers {
 public:
  /// Starts that process, before this one, which must have one thread, enters a user namespace.
  /// Throws what man 2 socketpair and fork say.
  OutsideUsers() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      io::throw_errno("make", "a pair of sockets");
    ours_ = io::Descriptor(ends[0]);
    const io::Descriptor theirs(ends[1]);
    const pid_t parent = ::getpid();
    looker_ = ::fork();
    if (looker_ < 0) io::throw_errno("start", "a process to see who uses the image");
    if (looker_ != 0) return;
    ours_.reset();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() == parent) serve(theirs.get());
    ::_exit(0);
  }
  ~OutsideUsers() {
    ours_.reset();  // which ends it
    while (::waitpid(looker_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  OutsideUsers(const OutsideUsers&) = delete;
  OutsideUsers& operator=(const OutsideUsers&) = delete;

  /// As users_of(). Throws if the process outside can't tell.
  [[nodiscard]] std::vector<ImageUser> of(int image) const {
    send(image);
    std::string text;
    while (text.empty() || text.back() != '\n') {
      char buffer[4096];
      const ssize_t n = ::read(ours_.get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) io::throw_errno("learn", "who uses the image", n == 0 ? EPIPE : errno);
      text.append(buffer, static_cast<std::size_t>(n));
    }
    std::vector<ImageUser> users;
    for (const nlohmann::json& user : nlohmann::json::parse(text))
      users.push_back({user.at("pid").get<pid_t>(), user.at("command")});
    return users;
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

  void send(int fd) const {
    Message message;
    cmsghdr* const first = CMSG_FIRSTHDR(&message.header);
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(first), &fd, sizeof fd);
    ssize_t n = 0;
    while ((n = ::sendmsg(ours_.get(), &message.header, MSG_NOSIGNAL)) < 0 && errno == EINTR) {
    }
    if (n < 0) io::throw_errno("ask", "who uses the image");
  }

  /// Tells of each image that comes who uses it, until nobody can ask any more.
  static void serve(int socket) noexcept try {
    for (;;) {
      Message message;
      const ssize_t n = ::recvmsg(socket, &message.header, MSG_CMSG_CLOEXEC);
      if (n < 0 && errno == EINTR) continue;
      const cmsghdr* const first = n > 0 ? CMSG_FIRSTHDR(&message.header) : nullptr;
      if (first == nullptr) return;
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(first), sizeof fd);
      const io::Descriptor image(fd);
      nlohmann::json users = nlohmann::json::array();
      for (const ImageUser& user : users_of(image.get()))
        users.push_back({{"pid", user.pid}, {"command", user.command}});
      const std::string text = io::dump_json(users) + '\n';
      for (std::string_view rest = text; !rest.empty();) {
        const ssize_t sent = ::send(socket, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return;
        rest.remove_prefix(static_cast<std::size_t>(sent));
      }
    }
  } catch (...) {  // then it ends, and who asks is told so
  }

  io::Descriptor ours_;
  pid_t looker_ = -1;
};

}  // namespace ch::images
