// SPDX-License-Identifier: Apache-2.0
//
// A dummy nvidia-smi for the tests: finds the driver's libraries by name, calls them and
// prints what they return.

#include <dlfcn.h>

#include <cstdio>

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    void* library = dlopen(argv[i], RTLD_NOW);
    if (library == nullptr) {
      std::printf("%s\n", dlerror());
      return 1;
    }
    auto* version = reinterpret_cast<int (*)()>(dlsym(library, "made_driver_version"));
    std::printf("%s %d\n", argv[i], version == nullptr ? 0 : version());
  }
  return 0;
}
