// SPDX-License-Identifier: Apache-2.0
//
// Fault injection: the command in the container. Prints what container it is in, so that
// two equal ones give the same text: namespaces, mounts, ids, capabilities, environment,
// descriptors, files. The arguments are the host's namespaces.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

extern char** environ;

namespace {

std::string link(const std::string& path) {
  char text[4096];
  const ssize_t n = readlink(path.c_str(), text, sizeof text);
  return n < 0 ? "" : std::string(text, static_cast<std::size_t>(n));
}

std::vector<std::string> names(const std::string& directory) {
  std::vector<std::string> all;
  DIR* d = opendir(directory.c_str());
  while (const dirent* e = d != nullptr ? readdir(d) : nullptr)
    if (std::strcmp(e->d_name, ".") != 0 && std::strcmp(e->d_name, "..") != 0)
      all.emplace_back(e->d_name);
  if (d != nullptr) closedir(d);
  std::sort(all.begin(), all.end());
  return all;
}

void namespaces(const std::set<std::string>& host) {
  std::cout << "container " << link("/proc/self/ns/user") << ' ' << link("/proc/self/ns/mnt")
            << '\n';
  for (const char* kind : {"user", "mnt", "pid", "ipc", "uts", "net", "cgroup", "time"})
    std::cout << "namespace " << kind << ' '
              << (host.count(link(std::string("/proc/self/ns/") + kind)) != 0 ? "host" : "own")
              << '\n';
}

/// Without the numbers that differ from mount to mount.
void mounts() {
  std::ifstream list("/proc/self/mountinfo");
  std::map<std::string, std::string> points;
  std::vector<std::string> lines;
  for (std::string line; std::getline(list, line);) {
    std::istringstream words(line);
    std::string id, parent, device, root, point, options, word, rest;
    words >> id >> parent >> device >> root >> point >> options;
    while (words >> word && word != "-") rest += ' ' + word.substr(0, word.find(':'));
    std::string tail;
    std::getline(words, tail);
    // Without a source, mount(2) shows what it is given and fsopen(2) "none"; the numbers of
    // descriptors, and whether an overlay has a uuid yet, differ from run to run.
    const std::string type = tail.substr(1, tail.find(' ', 1) - 1);
    tail = std::regex_replace(tail, std::regex("^ (\\w+) none "), " $1 " + type + ' ');
    tail = std::regex_replace(tail, std::regex("/fd/[0-9]+|,uuid=[a-z]+"), "");
    points[id] = point;
    if (point.rfind("/tmp/", 0) == 0) continue;  // the host's: others may mount there
    // If only a part of a file system is mounted, the mode of its root is not visible.
    if (root != "/") tail = std::regex_replace(tail, std::regex(",mode=[0-7]+"), "");
    lines.push_back("mount " + root + " at " + point + " on " + points[parent] + ' ' + options +
                    rest + tail);
  }
  for (const auto& line : lines) std::cout << line << '\n';
}

void process() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    for (const char* wanted : {"Umask", "Uid", "Gid", "Groups", "Cap", "NoNewPrivs",
                               "Seccomp:", "SigBlk", "SigIgn", "SigCgt", "Threads"})
      if (line.rfind(wanted, 0) == 0) std::cout << line << '\n';
  for (const char* file : {"uid_map", "gid_map", "setgroups"}) {
    std::ifstream in(std::string("/proc/self/") + file);
    std::cout << file << ": " << in.rdbuf();
  }
  char name[256] = {}, place[4096] = {};
  std::cout << "host " << (gethostname(name, sizeof name) == 0 ? name : "?") << "\ndirectory "
            << (getcwd(place, sizeof place) != nullptr ? place : "?") << '\n';
  for (char** v = environ; *v != nullptr; ++v) std::cout << "variable " << *v << '\n';
  for (const auto& fd : names("/proc/self/fd"))  // 3 is the directory itself
    std::cout << "descriptor " << fd << '\n';
}

void files(const std::string& directory, int depth) {
  for (const auto& name : names(directory.empty() ? "/" : directory)) {
    const std::string path = directory + '/' + name;
    struct stat s {};
    if (lstat(path.c_str(), &s) != 0) continue;
    std::cout << "file " << path << ' ' << std::oct << s.st_mode << std::dec << ' ' << s.st_uid
              << ' ' << s.st_gid;
    if (S_ISLNK(s.st_mode)) std::cout << " -> " << link(path);
    if (S_ISREG(s.st_mode)) {
      std::cout << ' ' << s.st_size;
      if (s.st_size < 65536) {
        std::ifstream in(path);
        std::stringstream content;
        content << in.rdbuf();
        std::cout << ' ' << std::hash<std::string>{}(content.str());
      }
    }
    std::cout << '\n';
    const bool the_hosts = path == "/proc" || path == "/sys" || path == "/dev" || path == "/tmp";
    if (S_ISDIR(s.st_mode) && !the_hosts && depth < 8) files(path, depth + 1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  namespaces({argv + 1, argv + argc});
  mounts();
  process();
  files("", 0);
  // And whether it can be written to.
  const int fd = open("/written", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  std::cout << "writing: " << (fd >= 0 ? "yes" : std::strerror(errno)) << '\n';
  if (fd >= 0 && (write(fd, "written\n", 8) != 8 || close(fd) != 0)) return 3;
  const char* nap = std::getenv("CHARLIE_PROBE_STAYS");
  std::cout.flush();
  if (nap != nullptr) pause();
  return 0;
}
