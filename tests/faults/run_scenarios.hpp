// SPDX-License-Identifier: Apache-2.0
//
// Fault injection: launches with ch-run, in every way of assembly and every mode. The
// command is the probe, which prints what container it is in.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <sstream>

#include "tests/faults/scenario.hpp"

namespace faults {

/// A small image with the probe, and what the modes need besides.
inline void make_probe_image(const Place& place) {
  const fs::path image = place / "image";
  for (const char* d : {"bin", "dev", "proc", "sys", "tmp", "home", "etc", "mnt/0", "mnt/1"})
    fs::create_directories(image / d);
  fs::copy_file(place.tools.probe, image / "bin/probe");
  for (const char* f : {"etc/passwd", "etc/group", "etc/hosts", "etc/resolv.conf"})
    std::ofstream(image / f) << "";
  std::ofstream(place / "home/file") << "of the user\n";
  fs::create_directories(place / "data");
  std::ofstream(place / "data/file") << "data\n";
  std::ofstream(place / "data/settings") << "FROM_FILE=$HOME/x\nOTHER=1\n";
}

inline Command probe_command(const Place& place, const Command& options) {
  Command words = {place.tool("ch-run"), "--no-conf"};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {place / "image", "--", "/bin/probe"});
  for (const char* kind : {"user", "mnt", "pid", "ipc", "uts", "net", "cgroup", "time"})
    words.push_back(fs::read_symlink(std::string("/proc/self/ns/") + kind));
  return words;
}

/// Names in the kernel's table of sockets that carry the tag.
inline std::vector<std::string> sockets_of(const std::string& tag) {
  std::vector<std::string> names;
  std::ifstream list("/proc/net/unix");
  for (std::string line; std::getline(list, line);)
    if (const auto at = line.find("@charlie/");
        at != std::string::npos && line.find(tag) != std::string::npos)
      names.push_back(line.substr(at));
  return names;
}

inline Scenario launch_scenario(const Place& place, const Command& options) {
  make_probe_image(place);
  Scenario s;
  s.tool = "ch-run";
  s.commands = {probe_command(place, options)};
  s.environment = {"PATH=/usr/bin:/bin", "HOME=" + (place / "home"), "USER=somebody",
                   "TMPDIR=" + (place / "tmp"), "ODD=a=b"};
  s.refusals = {31, 49};
  s.common = "container ";
  s.state = [&place] {
    State state;
    for (const char* tree : {"image", "home", "tmp", "data"}) add_tree(state, place / tree, tree);
    return state;
  };
  return s;
}

/// Peers that share one container, all started at once.
inline Scenario join_scenario(const Place& place, const Command& more, int peers) {
  const std::string tag = "faults-" + place.path.filename().string();
  Command options = {"--join-ct=" + std::to_string(peers), "--join-timeout=1", "--join-tag=" + tag};
  options.insert(options.end(), more.begin(), more.end());
  Scenario s = launch_scenario(place, options);
  s.commands.resize(static_cast<std::size_t>(peers), s.commands[0]);
  s.leftovers = [tag] { return sockets_of(tag); };
  return s;
}

/// A process that is killed at the end.
class Background {
 public:
  Background(const Command& command, const std::vector<std::string>& environment,
             const std::function<bool()>& ready)
      : pid_(fork()) {
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int null = open("/dev/null", O_RDWR);
      test::become(command, environment, null, null);
    }
    for (int tries = 0; tries < 500 && !ready(); ++tries) usleep(10'000);
  }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  ~Background() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

/// The container of a tag or of a process, which exists all the time.
inline Scenario living_scenario(const Place& place, const Command& more, bool by_pid) {
  const std::string tag = "faults-" + place.path.filename().string();
  const Command creator = {"--join-ct=0", "--join-tag=" + tag};
  Command options = creator;
  options.insert(options.end(), more.begin(), more.end());
  Scenario s = launch_scenario(place, options);
  auto environment = s.environment;
  environment.push_back("CHARLIE_PROBE_STAYS=1");
  Command first = creator;
  first.insert(first.end(), more.begin(), more.end());
  auto living = std::make_shared<Background>(probe_command(place, first), environment,
                                             [&] { return !sockets_of(tag).empty(); });
  usleep(100'000);
  s.held.push_back(living);
  if (by_pid) {
    options = more;
    options.push_back("--join-pid=" + std::to_string(living->pid()));
    s.commands = {probe_command(place, options)};
  }
  return s;
}

inline std::string device_description(const Place& place) {
  return R"({"cdiVersion": "0.6.0", "kind": "a.com/b", "devices": [{"name": "c",
    "containerEdits": {"env": ["MADE=a'$HOME: "], "deviceNodes": [{"path": "/dev/null"},
    {"path": "/made/zero", "hostPath": "/dev/zero", "type": "c"}],
    "mounts": [{"hostPath": ")" +
         (place / "data") + R"(", "containerPath": "/opt/data",
      "options": ["ro"]}],
    "hooks": [{"hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook",
      "args": ["nvidia-cdi-hook", "create-symlinks", "--link", "made.so::/usr/lib/link.so"]}]}}]})";
}

inline Scenario with_device(const Place& place, Scenario s) {
  fs::create_directory(place / "cdi");
  std::ofstream(place / "cdi/x.json") << device_description(place);
  return s;
}

inline std::vector<Entry> run_scenarios() {
  std::vector<Entry> all;
  for (const std::string way : {"detached", "attached", "classic"}) {
    const std::string assembly = "--assembly=" + way;
    const auto mode = [&](const std::string& name, const std::function<Command(const Place&)>& o) {
      all.push_back({"ch-run", way + ", " + name, [=](const Place& place) {
                       Command options = o(place);
                       options.insert(options.begin(), assembly);
                       return launch_scenario(place, options);
                     }});
    };
    mode("plain", [](const Place&) { return Command(); });
    // Without overlays for users there are only the mount points that the image has.
    const bool makes_points = way != "classic";
    mode("binds", [=](const Place& p) {
      return Command{"-b", (p / "data") + ":/mnt/0:ro", "-b",
                     (p / "data") + (makes_points ? ":/new/deep/point" : ":/mnt/1")};
    });
    mode("without home", [](const Place&) { return Command{"--no-home", "-t"}; });
    mode("as root, emulated", [](const Place&) { return Command{"-u0", "-g0", "--seccomp"}; });
    all.push_back({"ch-run", way + ", writable image", [=](const Place& place) {
                     Scenario s = launch_scenario(
                         place, {assembly, "-w", "-b", (place / "data") + ":/new/point",
                                 "--symlink=a:/link"});
                     s.remarks = "file /written";  // exists if an earlier run has survived
                     s.may_stay = "image";
                     s.reset = [&place] {
                       for (const char* made : {"image/new", "image/link", "image/written"})
                         Place::clear(place / made);
                     };
                     return s;
                   }});
    mode("pid namespace", [](const Place&) { return Command{"--namespaces=pid,ipc,uts"}; });
    all.push_back({"ch-run", way + ", two peers",
                   [=](const Place& place) { return join_scenario(place, {assembly}, 2); }});
    all.push_back({"ch-run", way + ", living tag",
                   [=](const Place& place) { return living_scenario(place, {assembly}, false); }});
    if (!makes_points) continue;
    mode("-W", [](const Place&) { return Command{"-W"}; });
    mode("copy, symlink, variables", [](const Place& p) {
      return Command{"--copy=" + (p / "data/file") + ":/opt/copy", "--symlink=/opt/copy:/opt/link",
                     "--set-env=" + (p / "data/settings"), "--set-env=ONE=two", "--unset-env=O*"};
    });
    all.push_back(
        {"ch-run", way + ", overlay", [=](const Place& place) {
           fs::create_directory(place / "over");
           Scenario s = launch_scenario(place, {assembly, "--overlay=" + (place / "over")});
           s.remarks = "file /written";  // exists if an earlier run has survived
           s.reset = [&place] {
             Place::clear(place / "over");
             fs::create_directory(place / "over");
           };
           // What the container has written; the rest is up to the kernel.
           s.state = [&place] {
             State state;
             add_tree(state, place / "image", "image");
             std::error_code none;
             if (fs::exists(place / "over/upper/written", none))
               state["written"] = text_of(place / "over/upper/written");
             return state;
           };
           return s;
         }});
    all.push_back({"ch-run", way + ", device", [=](const Place& place) {
                     return with_device(
                         place, launch_scenario(place, {assembly, "--cdi-dirs", place / "cdi",
                                                        "--device", "a.com/b=c"}));
                   }});
  }
  all.push_back(
      {"ch-run", "three peers", [](const Place& place) { return join_scenario(place, {}, 3); }});
  all.push_back({"ch-run", "join by pid",
                 [](const Place& place) { return living_scenario(place, {}, true); }});
  all.push_back({"ch-run", "first of a tag", [](const Place& place) {
                   const std::string tag = "faults-" + place.path.filename().string();
                   Scenario s = launch_scenario(place, {"--join-ct=0", "--join-tag=" + tag});
                   s.leftovers = [tag] { return sockets_of(tag); };
                   return s;
                 }});
  all.push_back({"ch-device", "to a file", [](const Place& place) {
                   Scenario s = with_device(place, launch_scenario(place, {}));
                   s.tool = "ch-device";
                   s.common.clear();
                   s.commands = {{place.tool("ch-device"), "--cdi-dirs", place / "cdi", "--image",
                                  place / "image", "--device", "a.com/b=c"}};
                   return s;
                 }});
  return all;
}

}  // namespace faults
