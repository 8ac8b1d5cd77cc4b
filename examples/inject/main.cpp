// SPDX-License-Identifier: Apache-2.0
//
// Copies host files into an image, lists what was injected, and takes it out again:
//
//     inject IMAGE FILE

#include <ch/inject.hpp>
#include <iostream>

int main(int, char** argv) {
  const std::string image = argv[1];
  // [inject]
  const auto done = ch::inject(image, {argv[2], ch::FileSource("/etc/passwd").to("/usr")});
  if (!done) {
    std::cerr << done.error() << '\n';  // the image is unchanged
    return 1;
  }
  for (const std::string& warning : done->warnings) std::cerr << warning << '\n';
  const auto files = ch::injected(image);
  if (files)
    for (const ch::InjectedFile& file : *files)
      std::cout << file.path << ", " << file.reason << '\n';
  // [/inject]
  // [out]
  const auto out = ch::take_out(image);
  if (out && out->changed) std::cout << "as it was\n";
  // [/out]
  return out ? 0 : 1;
}
