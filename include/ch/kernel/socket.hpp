// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. Unix sockets with abstract names (not files), by which processes of one machine find one
// another: connections, the peer's credentials, messages, passing descriptors. A name belongs to
// whoever binds it first and is released when its last descriptor is closed.
// Source: man 7 unix, man 2 bind, connect, accept, sendmsg, poll; man 3 cmsg.
#pragma once

#include "ch/kernel/kernel.hpp"
#include "ch/kernel/text.hpp"

namespace ch::kernel {

inline constexpr int sol_socket = 1;
inline constexpr int so_sndtimeo = 21;
inline constexpr int so_peercred = 17;
inline constexpr int scm_rights = 1;
inline constexpr unsigned msg_peek = 0x02;
inline constexpr unsigned msg_dontwait = 0x40;
inline constexpr unsigned msg_nosignal = 0x4000;
inline constexpr unsigned msg_cmsg_cloexec = 0x40000000;
inline constexpr short pollin = 0x001;
inline constexpr short pollerr = 0x008;
inline constexpr short pollhup = 0x010;

/// An abstract name: a NUL, then as many bytes as the size says. sockaddr_un.
class UnixName {
 public:
  explicit UnixName(std::string_view name) noexcept {
    const std::string_view bytes = head(name, sizeof address_.path - 1);
    for (std::size_t i = 0; i < bytes.size(); ++i) address_.path[i + 1] = bytes[i];
    size_ = static_cast<unsigned>(sizeof address_.family + 1 + bytes.size());
  }
  [[nodiscard]] const void* data() const noexcept { return &address_; }
  [[nodiscard]] unsigned size() const noexcept { return size_; }
  [[nodiscard]] std::string_view path() const noexcept {
    return {address_.path, size_ - sizeof address_.family};
  }

 private:
  struct {
    std::uint16_t family = 1;  // AF_UNIX
    char path[108] = {};
  } address_;
  unsigned size_ = 0;
};

/// The peer, in terms of the caller's namespaces: the process that called listen or, seen from that
/// side, connect. Unmapped ids show as 65534.
struct PeerCredentials {  // struct ucred
  Pid pid{};
  std::uint32_t uid = 0, gid = 0;
};

struct TimeValue {  // struct timeval
  std::int64_t sec = 0, usec = 0;
};

struct PollFd {
  Fd fd = Fd::none;
  short events = 0, revents = 0;
};

/// A message of one piece, with up to eight descriptors attached.
struct Message {
  struct Piece {
    void* data = nullptr;
    std::size_t size = 0;
  };
  struct Header {  // struct msghdr
    void* name = nullptr;
    unsigned name_size = 0;
    Piece* pieces = nullptr;
    std::size_t piece_count = 1;
    void* control = nullptr;
    std::size_t control_size = 0;
    unsigned flags = 0;
  };
  struct Rights {  // struct cmsghdr and its data
    std::size_t size = 0;
    int level = sol_socket;
    int type = scm_rights;
    Fd fds[8] = {};
  };
  static constexpr std::size_t rights_header = sizeof(std::size_t) + 2 * sizeof(int);
};

/// A socket that preserves message boundaries and reports when the peer has closed. Close-on-exec.
template <Kernel K>
Returned<Fd> unix_socket(K& k, std::uint64_t more_flags = 0) noexcept {
  constexpr int af_unix = 1;
  constexpr std::uint64_t seqpacket = 5;
  return detail::make<Fd>(k, Call::socket, af_unix, seqpacket | o_cloexec | more_flags, 0);
}

/// Two connected sockets of that kind: nobody else can send to either.
template <Kernel K>
Returned<void> unix_socket_pair(K& k, Fd (&out)[2]) noexcept {
  constexpr int af_unix = 1;
  constexpr std::uint64_t seqpacket = 5;
  return detail::make<void>(k, Call::socketpair, af_unix, seqpacket | o_cloexec, 0, &out[0]);
}

/// Is `socket` bound to exactly `name`? Asks the kernel by getsockname, not /proc/net/unix.
template <Kernel K>
bool has_name(K& k, Fd socket, const UnixName& name) noexcept {
  struct {
    std::uint16_t family = 0;
    char path[110] = {};  // one byte more than the longest name, rounded up to an even size
  } actual;
  unsigned size = sizeof actual;
  if (!detail::make<void>(k, Call::getsockname, socket, &actual, &size).ok()) return false;
  return size == name.size() && actual.family == 1 &&
         std::string_view(actual.path, size - sizeof actual.family) == name.path();
}

/// EADDRINUSE: the name is taken. Names belong to a network namespace.
template <Kernel K>
Returned<void> bind(K& k, Fd socket, const UnixName& name) noexcept {
  return detail::make<void>(k, Call::bind, socket, name.data(), name.size());
}

/// At most net.core.somaxconn connections wait to be accepted.
template <Kernel K>
Returned<void> listen(K& k, Fd socket, int waiting) noexcept {
  return detail::make<void>(k, Call::listen, socket, waiting);
}

/// ECONNREFUSED: nobody has the name, or its owner does not listen. EAGAIN: the queue was full
/// until the send timeout expired.
template <Kernel K>
Returned<void> connect(K& k, Fd socket, const UnixName& name) noexcept {
  return detail::make<void>(k, Call::connect, socket, name.data(), name.size());
}

/// The next connection, close-on-exec. After `stop_listening`, EINVAL if none is left.
template <Kernel K>
Returned<Fd> accept(K& k, Fd socket) noexcept {
  return detail::make<Fd>(k, Call::accept4, socket, 0L, 0L, o_cloexec);
}

/// Refuses further connections; pending ones can still be accepted.
template <Kernel K>
Returned<void> stop_listening(K& k, Fd socket) noexcept {
  return detail::make<void>(k, Call::shutdown, socket, 2);
}

/// Makes accept return EAGAIN instead of waiting.
template <Kernel K>
Returned<void> set_nonblocking(K& k, Fd socket) noexcept {
  constexpr unsigned fionbio = 0x5421;
  const int on = 1;
  return detail::make<void>(k, Call::ioctl, socket, fionbio, &on);
}

template <Kernel K>
Returned<void> set_send_timeout(K& k, Fd socket, std::uint64_t nanoseconds) noexcept {
  const TimeValue time{static_cast<std::int64_t>(nanoseconds / 1'000'000'000U),
                       static_cast<std::int64_t>(nanoseconds % 1'000'000'000U / 1000U)};
  return detail::make<void>(k, Call::setsockopt, socket, sol_socket, so_sndtimeo, &time,
                            sizeof time);
}

template <Kernel K>
Returned<void> peer_credentials(K& k, Fd socket, PeerCredentials& out) noexcept {
  unsigned size = sizeof out;
  return detail::make<void>(k, Call::getsockopt, socket, sol_socket, so_peercred, &out, &size);
}

/// Sends one message, with descriptors. EPIPE, ECONNRESET: the peer has closed.
template <Kernel K>
Returned<std::size_t> send(K& k, Fd socket, const void* data, std::size_t size,
                           const Fd* fds = nullptr, std::size_t fd_count = 0) noexcept {
  Message::Piece piece{const_cast<void*>(data), size};
  Message::Rights rights;
  rights.size = Message::rights_header + fd_count * sizeof(Fd);
  for (std::size_t i = 0; i < fd_count && i < 8; ++i) rights.fds[i] = fds[i];
  Message::Header header;
  header.pieces = &piece;
  if (fd_count > 0) {
    header.control = &rights;
    header.control_size = (rights.size + 7U) & ~std::size_t{7};
  }
  return detail::make<std::size_t>(k, Call::sendmsg, socket, &header, msg_nosignal);
}

/// Receives one message, without waiting, and its descriptors, close-on-exec; missing ones are
/// Fd::none. 0: the peer has closed. EAGAIN: no message yet.
template <Kernel K>
Returned<std::size_t> receive(K& k, Fd socket, void* data, std::size_t size, Fd* fds = nullptr,
                              std::size_t fd_count = 0) noexcept {
  Message::Piece piece{data, size};
  Message::Rights rights;
  for (Fd& fd : rights.fds) fd = Fd::none;
  Message::Header header;
  header.pieces = &piece;
  if (fd_count > 0) {
    header.control = &rights;
    header.control_size = sizeof rights;
  }
  const auto got =
      detail::make<std::size_t>(k, Call::recvmsg, socket, &header, msg_dontwait | msg_cmsg_cloexec);
  for (std::size_t i = 0; i < fd_count && i < 8; ++i) fds[i] = got.ok() ? rights.fds[i] : Fd::none;
  return got;
}

/// The next message, which stays in the queue. Neither waits nor receives descriptors.
template <Kernel K>
Returned<std::size_t> peek(K& k, Fd socket, void* data, std::size_t size) noexcept {
  Message::Piece piece{data, size};
  Message::Header header;
  header.pieces = &piece;
  return detail::make<std::size_t>(k, Call::recvmsg, socket, &header, msg_dontwait | msg_peek);
}

/// Waits until one of `count` descriptors is ready, for at most `nanoseconds`. EINTR: try again.
template <Kernel K>
Returned<int> poll(K& k, PollFd* fds, std::size_t count, std::uint64_t nanoseconds) noexcept {
  TimeSpec time{static_cast<std::int64_t>(nanoseconds / 1'000'000'000U),  // the kernel writes to it
                static_cast<std::int64_t>(nanoseconds % 1'000'000'000U)};
  return detail::make<int>(k, Call::ppoll, fds, count, &time, 0L, sizeof(std::uint64_t));
}

}  // namespace ch::kernel
