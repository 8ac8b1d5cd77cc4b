// SPDX-License-Identifier: Apache-2.0
//
//   charlie_fuzz_replay FOLDER...
//
// Gives every file of each folder to the fuzz target that the folder is named after: seeds,
// corpora, and inputs that once revealed a bug, with any compiler. An input that
// fails ends the program; its name is the last that was printed.

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/target.hpp"

int main(int argc, char** argv) {
  std::size_t count = 0;
  for (int i = 1; i < argc; ++i) {
    const std::filesystem::path folder(argv[i]);
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      std::fprintf(stderr, "%s\n", entry.path().c_str());
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string input(std::istreambuf_iterator<char>(file), {});
      fuzz::run_target(folder.filename().string(), input);
      ++count;
    }
  }
  std::printf("%zu inputs, no findings\n", count);
  return count == 0 ? 1 : 0;
}
