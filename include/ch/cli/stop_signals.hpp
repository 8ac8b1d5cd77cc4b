// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a, for tools that have a libc, make something large and must not leave half of it:
// a signal asks them to stop, they clean up, and then die of it as if never asked.
// Source: man 7 signal-safety; man 2 sigaction.
#pragma once

#include <atomic>
#include <csignal>

namespace ch::cli::stop_signals {

inline std::atomic<bool> requested = false;
inline std::atomic<int> which = 0;

extern "C" inline void charlie_request_stop(int signal) {
  which = signal;
  requested = true;
}

/// From here on SIGINT, SIGTERM and SIGHUP are requests, unless they are ignored, as under
/// nohup: then they stay so. A write beyond `ulimit -f` is an error to report, not a death, and
/// children can be waited for.
inline void take() {
  struct sigaction action {};
  action.sa_handler = charlie_request_stop;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
      ::sigaction(signal, &action, nullptr);
  }
  (void)std::signal(SIGXFSZ, SIG_IGN);
  (void)std::signal(SIGCHLD, SIG_DFL);  // else how our children end could not be learnt
}

/// Dies of the signal that has come, so that the caller sees why.
inline void die() {
  (void)std::signal(which, SIG_DFL);
  (void)std::raise(which);
}

}  // namespace ch::cli::stop_signals
