// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. Queries the kernel for the name of a unix socket, by inode. Socket names may contain any
// bytes, even newlines, so lines of /proc/net/unix can be forged; this reply can't. Source: man 7
// sock_diag; linux/unix_diag.h.
#pragma once

#include "ch/kernel/fd.hpp"
#include "ch/kernel/socket.hpp"

namespace ch::kernel {

/// Is the unix socket with this inode, in our network namespace, bound to exactly `name`? ENOENT:
/// there is no such socket, or this kernel has no unix_diag. Other errors: netlink is not
/// available. Four calls.
template <Kernel K>
[[gnu::noinline]] Returned<bool> socket_has_name(K& k, std::uint64_t inode,
                                                 const UnixName& name) noexcept {
  constexpr int af_netlink = 16;
  constexpr std::uint64_t raw = 3;
  constexpr int sock_diag = 4;
  struct {
    std::uint32_t length = 40;
    std::uint16_t type = 20;  // SOCK_DIAG_BY_FAMILY
    std::uint16_t flags = 1;  // NLM_F_REQUEST
    std::uint32_t sequence = 0, port = 0;
    std::uint8_t family = 1, protocol = 0;  // AF_UNIX
    std::uint16_t padding = 0;
    std::uint32_t states = ~0U;
    std::uint32_t inode = 0;
    std::uint32_t show = 1;                // UDIAG_SHOW_NAME
    std::uint32_t cookie[2] = {~0U, ~0U};  // any
  } question;
  static_assert(sizeof question == 40);
  question.inode = static_cast<std::uint32_t>(inode);
  struct {
    std::uint32_t length = 0;
    std::uint16_t type = 0, flags = 0;
    std::uint32_t sequence = 0, port = 0;
    std::int32_t error = 0;  // of NLMSG_ERROR; else family, type, state
    std::uint32_t inode = 0, cookie[2] = {};
    char attributes[480] = {};
  } answer;
  constexpr std::size_t header = 32;
  static_assert(sizeof answer == header + sizeof answer.attributes);

  const auto opened = detail::make<Fd>(k, Call::socket, af_netlink, raw | o_cloexec, sock_diag);
  if (!opened.ok()) return {opened.raw, opened.call};
  const auto sent = send(k, opened.value(), &question, sizeof question);
  const auto got = sent.ok() ? receive(k, opened.value(), &answer, sizeof answer) : sent;
  (void)close(k, opened.value());
  if (!got.ok()) return {got.raw, got.call};
  if (got.value() >= 20 && answer.type == 2) return {answer.error, Call::recvmsg};
  if (got.value() < header || answer.type != question.type || answer.inode != question.inode)
    return {-static_cast<long>(Errno::eproto), Call::recvmsg};
  // Attributes: length and type, two bytes each, then the value, padded to four bytes.
  std::string_view rest(answer.attributes, got.value() - header);
  while (rest.size() >= 4) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(rest[i]); };
    const std::size_t length = byte(0) | static_cast<std::size_t>(byte(1)) << 8U;
    const std::size_t type = byte(2) | static_cast<std::size_t>(byte(3)) << 8U;
    if (length < 4 || length > rest.size()) break;
    if (type == 0 && tail(head(rest, length), 4) == name.path())
      return {1, Call::recvmsg};  // UNIX_DIAG_NAME
    rest = tail(rest, (length + 3U) & ~std::size_t{3});
  }
  return {0, Call::recvmsg};
}

}  // namespace ch::kernel
