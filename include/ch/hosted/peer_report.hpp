// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. What a member of a peer group says that did not get to its program. Its starter does
// not wait for it, and its memory is its own, so the words come by a pipe.
#pragma once

#include <unistd.h>

#include <cerrno>

#include "ch/hosted/failure.hpp"

namespace ch::detail {

/// The words of a peer that did not get to its program: Error's numbers, then path, cause and
/// remedy, a NUL behind each. Made in the peer, which may not allocate.
struct PeerReport {
  Error error{};
  bool in_program = false;
  Remedy kind = Remedy::as_worded;
  char attempted[64] = {};
  char texts[4096] = {};
};

/// The report that `fd`, a pipe, brings; none if the peer has got to its program. Waits for that.
[[nodiscard]] inline std::optional<Failure> read_report(int fd) {
  PeerReport told;
  ssize_t got = -1;
  do got = ::read(fd, &told, sizeof told);
  while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof told)) return std::nullopt;  // it got to its program
  told.texts[sizeof told.texts - 1] = '\0';
  std::string_view rest(told.texts, sizeof told.texts);
  const auto next = [&rest] {
    const std::string text(rest.substr(0, rest.find('\0')));
    rest = tail(rest, text.size() + 1);
    return text;
  };
  Failure failure;
  failure.code = told.error.code;
  failure.operation = told.error.operation;
  failure.part = told.in_program ? FailedPart::program : FailedPart::container;
  failure.kind = told.kind;
  failure.attempted = told.attempted;
  failure.path = next();
  failure.cause = next();
  failure.remedy = next();
  return failure;
}

}  // namespace ch::detail
