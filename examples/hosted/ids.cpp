// SPDX-License-Identifier: Apache-2.0
//
// Makes a file with another owner, in a container that maps the caller's subordinate ids:
// ids IMAGE.

#include <ch/run.hpp>
#include <iostream>

int main(int, char** argv) {
  // [ids]
  const auto box = ch::compose(ch::image(argv[1]), ch::private_tmp, ch::subordinate_ids());
  const auto got =
      ch::capture(box, {"sh", "-c", "> /tmp/a; chown 5:7 /tmp/a; stat -c %u:%g /tmp/a"});
  // [/ids]
  if (!got) {
    std::cerr << got.error() << '\n';
    return got.error().exit_status();
  }
  std::cout << got->out << got->err;
  return got->end.shell_status();
}
