// SPDX-License-Identifier: Apache-2.0
//
// Another project's program that unpacks an archive and injects a file, neither of which exists,
// and prints what was wrong. With the compiled libraries it must not see their dependencies.
#include <ch/image.hpp>
#include <ch/inject.hpp>
#include <iostream>

#if defined(CHARLIE_IMAGE_COMPILED) && defined(CHARLIE_INJECT_COMPILED)
#if defined(INCLUDE_NLOHMANN_JSON_HPP_) || defined(NLOHMANN_JSON_VERSION_MAJOR) ||    \
    defined(ARCHIVE_H_INCLUDED) || defined(RANGE_V3_VERSION) || defined(_LIBELF_H) || \
    defined(BOOST_HANA_MAJOR_VERSION)
#error "a public header includes a third-party library"
#endif
#endif

int main() {
  const auto made = ch::unpack("/nowhere/archive.tar", "/nowhere/image");
  if (made) return 1;
  std::cout << made.error() << '\n';
  if (ch::inspect("/nowhere/archive.tar")) return 4;
  const auto injected = ch::inject("/nowhere/image", {"/nowhere/file"});
  if (injected) return 2;
  std::cout << injected.error() << '\n';
  return made.error().path.find("nowhere") == std::string::npos ? 3 : 7;
}
