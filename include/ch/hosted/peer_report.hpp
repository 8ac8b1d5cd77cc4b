// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. The report of a member of a peer group that did not get to start its program. Its
// parent does not wait for it and shares no memory with it, so the report comes through a pipe.
#pragma once

#include <unistd.h>

#include <cerrno>

#include "ch/hosted/failure.hpp"

namespace ch::detail {

/// The report of such a peer: Error's numbers, then path, cause and remedy, each ended by a NUL.
/// Made in the peer, which may not allocate.
struct PeerReport {
  Error error{};
  bool in_program = false;
  Remedy kind = Remedy::as_worded;
  char attempted[64] = {};
  char texts[4096] = {};
};

/// Reads a report from the pipe `fd`; none if the peer started its program. Waits until one or the
/// other has happened.
[[nodiscard]] inline std::optional<Failure> read_report(int fd) {
  PeerReport told;
  ssize_t got = -1;
  do got = ::read(fd, &told, sizeof told);
  while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof told)) return std::nullopt;  // the program was started
  told.texts[sizeof told.texts - 1] = '\0';
  std::string_view rest(told.texts, sizeof told.texts);
  const auto next = [&rest] {
    std::string text(rest.substr(0, rest.find('\0')));
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
  add_numbers(failure.cause, failure.code, failure.operation);
  return failure;
}

}  // namespace ch::detail
