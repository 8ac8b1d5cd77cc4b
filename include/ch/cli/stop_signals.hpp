// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a, for tools with a libc that must not leave half-finished work: a signal asks them to
// stop, they clean up, and then die of that signal.
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

/// Installs handlers: SIGINT, SIGTERM and SIGHUP become requests to stop, unless they are ignored,
/// as under nohup. A write beyond `ulimit -f` becomes an error instead of a fatal signal, and
/// children can be waited for.
inline void install() {
  struct sigaction action {};
  action.sa_handler = charlie_request_stop;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
      ::sigaction(signal, &action, nullptr);
  }
  (void)std::signal(SIGXFSZ, SIG_IGN);
  (void)std::signal(SIGCHLD, SIG_DFL);  // otherwise the exit status of children would be lost
}

/// Dies of the signal that was received, so that the parent process sees why.
inline void die_of_signal() {
  (void)std::signal(which, SIG_DFL);
  (void)std::raise(which);
}

}  // namespace ch::cli::stop_signals
