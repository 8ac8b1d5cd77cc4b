// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. --device: this process executes ch-device, which reads the host's descriptions of
// devices (JSON and YAML need a program with a libc) and executes ch-run again, with the same
// command line and --device-file. No process stays in between.
#pragma once

#include "apps/ch-run/options.hpp"
#include "apps/ch-run/own_path.hpp"
#include "ch/launch.hpp"

namespace ch_run {

/// Executes ch-device, which is beside this program or in ../libexec/charlie. Returns only on
/// failure, with the error.
template <ch::kernel::Kernel K>
ch::Errno resolve_devices(K& k, const Options& o, const char* const* argv, const char* const* envp,
                          ch::Arena& arena) noexcept {
  std::size_t words = 0;
  while (argv[words] != nullptr) ++words;
  const std::size_t room = words + 2 * o.devices.size() + 16;
  ch::Sequence<const char*> line(arena.make<const char*>(room), room);
  const std::string_view self = own_path(k, arena);
  const std::string_view directory = ch::head(self, self.rfind('/'));
  const char* beside = arena.join(directory, "/ch-device");
  const char* libexec = arena.join(directory, "/../libexec/charlie/ch-device");
  if (line.capacity() < room || beside == nullptr || libexec == nullptr) return ch::Errno::enomem;
  if (self.empty()) return ch::Errno::enoent;

  const auto add = [&](const char* word) { (void)line.push_back(word); };
  for (const char* word : {"ch-device", "--run", self.data(), "--image", o.image.c_str()})
    add(word);
  if (o.cdi_dirs != nullptr) {
    add("--cdi-dirs");
    add(o.cdi_dirs);
  }
  if (o.quietness > 0) add("--quiet");
  for (const char* device : o.devices) {
    add("--device");
    add(device);
  }
  add("--");
  for (std::size_t i = 0; i <= words; ++i) add(argv[i]);
  const ch::Errno code = ch::execute_on_host(k, beside, line.span().data(), envp);
  if (code != ch::Errno::enoent) return code;
  return ch::execute_on_host(k, libexec, line.span().data(), envp);
}

}  // namespace ch_run
