// SPDX-License-Identifier: Apache-2.0
//
// Real containers, made by the library in this process and its children.

#include "ch/launch.hpp"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "ch/presets.hpp"
#include "ch/show/explain.hpp"
#include "tests/support/files.hpp"
#include "tests/support/hiding_kernel.hpp"

using namespace ch;

namespace {

const char* const empty_environment[] = {"PATH=/bin", nullptr};

/// A minimal image, and a place outside that containers can write to.
struct Fixture {
  test::TempDir dir;
  std::string image = dir / "image";
  std::string shared = dir / "shared";
  ArenaOf<std::size_t{512} * 1024> arena;
  kernel::Linux k;

  Fixture() {
    test::make_image(image);
    test::fs::create_directory(shared);
  }
  /// The ch-run configuration, with `shared` at /mnt/0.
  [[nodiscard]] presets::HostIntegrated host_integrated() {
    const HostFacts facts = probe(k);
    presets::HostIntegrated box;
    box.mounts.get<ImageRoot<>>().image = HostPath(image.c_str());
    bind = {HostPath(shared.c_str()), ImagePath("/mnt/0"), Access::read_write};
    box.mounts.get<UserBinds>().binds = {&bind, 1};
    box.ids = {facts.uid, facts.gid};
    return box;
  }
  /// The image, and `shared` at /mnt/0, in a pid namespace of their own.
  [[nodiscard]] auto with_pid_namespace() {
    Container<NamespaceSet<ns::user, ns::mount, ns::pid>, Mounts<ImageRoot<>, UserBinds>, SameIds>
        box;
    box.mounts.get<ImageRoot<>>().image = HostPath(image.c_str());
    bind = {HostPath(shared.c_str()), ImagePath("/mnt/0"), Access::read_write};
    box.mounts.get<UserBinds>().binds = {&bind, 1};
    return box;
  }
  UserBind bind;
  const char* argv[4] = {"sh", "-c", nullptr, nullptr};

  [[nodiscard]] Program shell(const char* script) {
    argv[2] = script;
    return {"sh", argv, empty_environment, "/bin"};
  }
  [[nodiscard]] std::string result() const { return test::read_file(shared + "/out"); }
};

template <class T>
std::string message(const Result<T>& result) {
  if (result) return "success";
  TextBuffer<512> text;
  text << result.error().code << " from " << kernel::shape(result.error().operation).name << " on "
       << result.error().path << ", step " << static_cast<int>(result.error().step);
  return std::string(text.view());
}

/// From here on, the system call `number` fails with ENOSYS in this process.
void hide_call(unsigned number) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{4, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    _exit(99);
}

std::string namespace_of_self(const std::string& kind) {
  return test::fs::read_symlink("/proc/self/ns/" + kind).string();
}

}  // namespace

TEST_CASE("run starts a program in a container and returns how it ended", "[userns]") {
  Fixture f;
  auto box = f.host_integrated();
  auto ended = run(f.k, box, f.shell("readlink /proc/self/ns/user > /mnt/0/out; exit 7"), f.arena);
  INFO(message(ended));
  REQUIRE(ended);
  CHECK(*ended == ExitStatus{7, 0});
  CHECK(f.result().rfind("user:[", 0) == 0);
  CHECK(f.result() != namespace_of_self("user") + "\n");
  ended = run(f.k, box, f.shell("kill -TERM $$"), f.arena);
  REQUIRE(ended);
  CHECK(*ended == ExitStatus{0, SIGTERM});
  CHECK(ended->shell_status() == 128 + SIGTERM);
  CHECK(ExitStatus{7, 0}.shell_status() == 7);
}

TEST_CASE("run works in a process with threads", "[userns]") {
  Fixture f;
  std::atomic<bool> stop = false;
  std::thread other([&] {
    while (!stop) std::this_thread::yield();
  });
  const auto ended = run(f.k, f.host_integrated(), f.shell("exit 3"), f.arena);
  stop = true;
  other.join();
  INFO(message(ended));
  REQUIRE(ended);
  CHECK(ended->code == 3);
}

TEST_CASE("a failure in the child is returned as an error, and the child is gone", "[userns]") {
  Fixture f;
  const char* argv[] = {"nowhere", nullptr};
  const auto ended =
      run(f.k, f.host_integrated(), {"nowhere", argv, empty_environment, "/bin"}, f.arena);
  REQUIRE_FALSE(ended);
  CHECK(ended.error().code == Errno::enoent);
  CHECK(ended.error().operation == kernel::Call::execve);
  CHECK(waitpid(-1, nullptr, WNOHANG) == -1);  // no child is left
  auto box = f.host_integrated();
  box.mounts.get<ImageRoot<>>().image = HostPath("/nowhere");
  const auto no_image = run(f.k, box, f.shell("true"), f.arena);
  REQUIRE_FALSE(no_image);
  CHECK(no_image.error().operation == kernel::Call::openat);
  CHECK(std::string(no_image.error().path.view()) == "/nowhere");
}

TEST_CASE("an image that was replaced since it was looked into is refused", "[userns]") {
  Fixture f;
  auto box = f.host_integrated();
  auto& root = box.mounts.get<ImageRoot<>>();
  const int before = open(f.image.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  REQUIRE(before >= 0);
  root.directory = static_cast<Fd>(before);
  CHECK(run(f.k, box, f.shell("exit 3"), f.arena)->code == 3);
  test::fs::rename(f.image, f.dir / "before");
  test::make_image(f.image);
  const auto replaced = run(f.k, box, f.shell("true"), f.arena);
  INFO(message(replaced));
  REQUIRE_FALSE(replaced);
  CHECK(replaced.error().code == Errno::estale);
  CHECK(std::string(replaced.error().path.view()) == f.image);
  test::fs::rename(f.image, f.dir / "after");
  test::fs::rename(f.dir / "before", f.image);
  CHECK(run(f.k, box, f.shell("exit 4"), f.arena)->code == 4);
  close(before);
}

TEST_CASE("a limit on the size of files makes a launch fail, and kills no process", "[userns]") {
  Fixture f;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto under = [&](rlim_t limit) {
    const rlimit small{limit, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    const auto ended = run(f.k, f.host_integrated(), f.shell("exit 3"), f.arena);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
    return ended;
  };
  const auto refused = under(0);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errno::efbig);
  CHECK(refused.error().path == ZString("passwd"));
  CHECK(waitpid(-1, nullptr, WNOHANG) == -1);  // no child is left
  const auto ended = under(65536);
  INFO(message(ended));
  REQUIRE(ended);
  CHECK(ended->code == 3);
}

TEST_CASE("the child has default signal handlers and the caller's mask", "[userns]") {
  Fixture f;
  struct sigaction handler {};
  handler.sa_handler = [](int) {};
  struct sigaction before {};
  REQUIRE(sigaction(SIGUSR1, &handler, &before) == 0);
  signal(SIGUSR2, SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGHUP);
  sigset_t old_mask;
  sigprocmask(SIG_BLOCK, &blocked, &old_mask);
  const auto script = "grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status > /mnt/0/out";
  SECTION("by clone3") { REQUIRE(run(f.k, f.host_integrated(), f.shell(script), f.arena)); }
  SECTION("by clone, under a filter that does not know clone3") {
    const pid_t child = fork();
    if (child == 0) {
      hide_call(__NR_clone3);
      _exit(run(f.k, f.host_integrated(), f.shell(script), f.arena) ? 0 : 1);
    }
    int status_of_child = 0;
    waitpid(child, &status_of_child, 0);
    CHECK(status_of_child == 0);
  }
  sigprocmask(SIG_SETMASK, &old_mask, nullptr);
  sigaction(SIGUSR1, &before, nullptr);
  signal(SIGUSR2, SIG_DFL);
  const std::string status = f.result();
  INFO(status);
  const auto signals = [&](const std::string& key) {
    return std::stoull(status.substr(status.find(key) + key.size()), nullptr, 16);
  };
  CHECK(signals("SigBlk:\t") == 1);                            // HUP, as here
  CHECK((signals("SigIgn:\t") & (1U << (SIGUSR2 - 1))) != 0);  // as here
  CHECK(signals("SigCgt:\t") == 0);                            // USR1's is gone
}

TEST_CASE("enter makes the calling process the container", "[userns]") {
  Fixture f;
  auto box = f.host_integrated();
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto entered = enter(f.k, box, f.arena);
    if (!entered) _exit(1);
    const int out = open("/mnt/0/out", O_WRONLY | O_CREAT, 0644);
    const std::string text = (test::fs::exists("/bin/busybox") ? "image " : "host ") +
                             std::to_string(getuid()) + " fd " + std::to_string(out);
    _exit(write(out, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 2);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 0);
  const int lowest = dup(0);
  close(lowest);
  // The lowest free descriptor is what it was: enter left none open.
  CHECK(f.result() == "image " + std::to_string(getuid()) + " fd " + std::to_string(lowest));
}

TEST_CASE("every way of assembly gives the same container", "[userns]") {
  Fixture f;
  test::write_file(f.dir / "shared/file", "x");
  const auto script =
      "{ ls /; cat /etc/passwd; id -u; pwd; ls /mnt/0; touch /etc/x 2>&1; "
      "touch /etc/passwd 2>&1; cat /proc/self/uid_map; "
      "mount | grep -c ' on /proc type proc'; ls /dev | grep -c null; } > /mnt/0/out 2>&1";
  std::string results[3];
  for (const Assembly way : {Assembly::detached, Assembly::attached, Assembly::classic}) {
    HostFacts facts = probe(f.k);
    if (way == Assembly::detached && facts.assembly != Assembly::detached) continue;
    facts.assembly = way;
    test::write_file(f.shared + "/out", "");
    const auto plan = f.host_integrated().plan(facts, f.shell(script), f.arena);
    REQUIRE(plan);
    const auto child = spawn_plan(f.k, *plan, f.arena);
    INFO(message(child));
    REQUIRE(child);
    CHECK(wait(f.k, *child)->code == 0);
    results[static_cast<int>(way)] = f.result();
  }
  INFO(results[1]);
  CHECK(results[1].find("touch: /etc/x: Read-only file system") != std::string::npos);
  CHECK(results[1].find("touch: /etc/passwd: Read-only file system") != std::string::npos);
  CHECK(results[2] == results[1]);
  if (!results[0].empty()) CHECK(results[0] == results[1]);
}

TEST_CASE("a container needs no openat2", "[userns]") {
  Fixture f;
  test::HidingKernel k{kernel::Call::openat2};
  const auto ended = run(k, f.host_integrated(), f.shell("id -u > /mnt/0/out"), f.arena);
  INFO(message(ended));
  REQUIRE(ended);
  CHECK(f.result() == std::to_string(getuid()) + "\n");
}

TEST_CASE("a link at a mount point never leads a mount out of the image", "[userns]") {
  Fixture f;
  const std::string outside = f.dir / "outside";
  test::fs::create_directory(outside);
  test::write_file(outside + "/canary", "host");
  // In the image, the same path exists, so that the links have somewhere to lead.
  test::fs::create_directories(f.image + outside);
  const auto image_link = [&](const std::string& name, const std::string& target) {
    test::fs::remove_all(f.image + name);
    test::fs::create_symlink(target, f.image + name);
  };
  std::string target;
  SECTION("absolute") { target = outside; }
  SECTION("relative, too many steps up") { target = "../../../../../../.." + outside; }
  SECTION("chained") {
    test::fs::create_symlink(outside, f.image + "/second");
    test::fs::create_symlink("/second", f.image + "/first");
    target = "../first";
  }
  image_link("/mnt/0", target);
  for (const Assembly way : {Assembly::detached, Assembly::attached, Assembly::classic}) {
    HostFacts facts = probe(f.k);
    if (way == Assembly::detached && facts.assembly != Assembly::detached) continue;
    facts.assembly = way;
    INFO("way " << static_cast<int>(way));
    const std::string script = "test ! -e " + outside + "/canary && echo in > " + outside + "/out";
    const auto plan = f.host_integrated().plan(facts, f.shell(script.c_str()), f.arena);
    REQUIRE(plan);
    const auto child = spawn_plan(f.k, *plan, f.arena);
    INFO(message(child));
    REQUIRE(child);
    CHECK(wait(f.k, *child)->code == 0);
    CHECK(f.result() == "in\n");  // shared is mounted where the link leads, in the image
    CHECK(test::read_file(outside + "/canary") == "host");
    CHECK_FALSE(test::fs::exists(outside + "/out"));
    test::fs::remove(f.shared + "/out");
  }
}

TEST_CASE("mounts stay in the container, and later ones of the host stay outside", "[userns]") {
  Fixture f;
  const std::string before = test::read_file("/proc/self/mountinfo");
  // Field 7 on, up to "-", are the propagation tags; private mounts have none.
  const auto ended = run(f.k, f.host_integrated(),
                         f.shell("cp /proc/self/mountinfo /mnt/0/out 2>/dev/null || "
                                 "cat /proc/self/mountinfo > /mnt/0/out"),
                         f.arena);
  REQUIRE(ended);
  CHECK(test::read_file("/proc/self/mountinfo") == before);
  const std::string inside = f.result();
  CHECK(inside.size() > 100);
  CHECK(inside.find("shared:") == std::string::npos);
  CHECK(inside.find("master:") == std::string::npos);
}

TEST_CASE("all eight namespaces at once, for a child", "[userns]") {
  Fixture f;
  using All =
      NamespaceSet<ns::user, ns::mount, ns::pid, ns::net, ns::ipc, ns::uts, ns::cgroup, ns::time>;
  // An image without /dev/.../sys beneath: a new pid namespace mounts its own proc.
  Container<All, Mounts<ImageRoot<>, UserBinds>, SameIds> box;
  box.mounts.get<ImageRoot<>>().image = HostPath(f.image.c_str());
  const UserBind binds[] = {{HostPath("/proc"), ImagePath("/proc")},
                            {HostPath(f.shared.c_str()), ImagePath("/mnt/0")}};
  box.mounts.get<UserBinds>().binds = binds;
  auto ended = run(f.k, box, f.shell("echo $$ > /mnt/0/out"), f.arena);
  if (!ended && ended.error().code == Errno::einval) {
    // A kernel without time namespaces, or one that does not allow shared memory with them.
    WARN("all eight: " << message(ended));
  }
  INFO(message(ended));
  REQUIRE(ended);
  CHECK(f.result() == "2\n");  // 1 is init
}

TEST_CASE("in a pid namespace a program ends by signals as it does outside", "[userns]") {
  Fixture f;
  const auto box = f.with_pid_namespace();
  const auto child = spawn(f.k, box, f.shell("touch /mnt/0/ready; exec sleep 30"), f.arena);
  INFO(message(child));
  REQUIRE(child);
  while (!test::fs::exists(f.shared + "/ready")) std::this_thread::yield();
  REQUIRE(::kill(static_cast<pid_t>(child->pid), SIGTERM) == 0);
  const auto ended = wait(f.k, *child);
  REQUIRE(ended);
  CHECK(*ended == ExitStatus{128 + SIGTERM, 0});
  const auto code = run(f.k, box, f.shell("exit 7"), f.arena);
  REQUIRE(code);
  CHECK(*code == ExitStatus{7, 0});
}

TEST_CASE("a failure in a pid namespace is returned as an error, and no process is left",
          "[userns]") {
  Fixture f;
  const char* argv[] = {"nowhere", nullptr};
  auto box = f.with_pid_namespace();
  auto ended = run(f.k, box, {"nowhere", argv, empty_environment, "/bin"}, f.arena);
  REQUIRE_FALSE(ended);
  CHECK(ended.error().code == Errno::enoent);
  CHECK(ended.error().operation == kernel::Call::execve);
  CHECK(waitpid(-1, nullptr, WNOHANG) == -1);
  box.mounts.get<ImageRoot<>>().image = HostPath("/nowhere");
  ended = run(f.k, box, f.shell("true"), f.arena);
  REQUIRE_FALSE(ended);
  CHECK(ended.error().code == Errno::enoent);
  CHECK(ended.error().path.view() == "/nowhere");
  CHECK(waitpid(-1, nullptr, WNOHANG) == -1);
}

TEST_CASE("a caller that ignores SIGCHLD learns how its program ended", "[userns]") {
  Fixture f;
  utsname system{};
  REQUIRE(uname(&system) == 0);
  int major = 0, minor = 0;
  REQUIRE(sscanf(system.release, "%d.%d", &major, &minor) == 2);
  const bool kernel_tells = major > 6 || (major == 6 && minor >= 15);
  const auto before = std::signal(SIGCHLD, SIG_IGN);
  const auto ended = run(f.k, f.host_integrated(), f.shell("exit 7"), f.arena);
  const auto killed = run(f.k, f.host_integrated(), f.shell("kill -KILL $$"), f.arena);
  const auto by_init = run(f.k, f.with_pid_namespace(), f.shell("exit 7"), f.arena);
  const auto waited = [&](const auto& box) -> Result<ExitStatus> {
    const auto child = spawn(f.k, box, f.shell("exit 7"), f.arena);
    REQUIRE(child);
    const auto status = ch::wait(f.k, *child);
    CHECK(fcntl(static_cast<int>(child->pidfd), F_GETFD) == -1);  // closed
    return status;
  };
  const auto spawned = waited(f.host_integrated());
  const auto spawned_init = waited(f.with_pid_namespace());
  std::signal(SIGCHLD, before);
  for (const auto* result : {&ended, &killed, &by_init, &spawned, &spawned_init}) {
    INFO(message(*result));
    REQUIRE(result->operator bool() == kernel_tells);
    if (kernel_tells) continue;
    CHECK(result->error().code == Errno::echild);
    CHECK(result->error().why.view().find("SIGCHLD is ignored") == 0);
  }
  if (!kernel_tells) return;
  CHECK(*ended == ExitStatus{7, 0});
  CHECK(*killed == ExitStatus{0, SIGKILL});
  CHECK(*by_init == ExitStatus{7, 0});
  CHECK(*spawned == ExitStatus{7, 0});
  CHECK(*spawned_init == ExitStatus{7, 0});
}

TEST_CASE("a plan can be started many times, and takes nothing more of its arena", "[userns]") {
  Fixture f;
  ArenaOf<std::size_t{256} * 1024> arena;
  const auto plan = f.host_integrated().plan(probe(f.k), f.shell("exit 7"), arena);
  REQUIRE(plan);
  const std::size_t planned = arena.used();
  for (int i = 0; i < 20; ++i) {
    const auto child = spawn_plan(f.k, *plan, arena);
    REQUIRE(child);
    CHECK(ch::wait(f.k, *child)->code == 7);
    CHECK(arena.used() == planned);
  }
}

TEST_CASE("one arena can be used for one launch after the other", "[userns]") {
  Fixture f;
  ArenaOf<std::size_t{128} * 1024> arena;
  for (int i = 0; i < 20; ++i) {
    const auto ended = run(f.k, f.host_integrated(), f.shell("exit 7"), arena);
    INFO(i << ": " << message(ended));
    REQUIRE(ended);
    CHECK(ended->code == 7);
    const auto child = spawn(f.k, f.with_pid_namespace(), f.shell("exit 3"), arena);
    REQUIRE(child);
    CHECK(child->pidfd == Fd::none);  // SIGCHLD is not ignored here
    CHECK(ch::wait(f.k, *child)->code == 3);
    CHECK(arena.used() == 0);
  }
  // After an error what it names is still there, and a mark takes it back.
  auto box = f.host_integrated();
  box.mounts.get<Home>() = {HostPath("/"), "user"};
  f.bind.destination = ImagePath("/sys/not-there");
  const auto before = arena.mark();
  for (int i = 0; i < 20; ++i) {
    const auto refused = run(f.k, box, f.shell("true"), arena);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().path.view() == "/sys/not-there");
    CHECK(arena.used() > 0);
    arena.rewind(before);
  }
}

TEST_CASE("a running container can be joined by a process ID", "[userns]") {
  Fixture f;
  const auto child = spawn(f.k, f.host_integrated(),
                           f.shell("readlink /proc/self/ns/mnt > /mnt/0/first; touch /mnt/0/ready; "
                                   "while test ! -e /mnt/0/stop; do sleep 0.02; done"),
                           f.arena);
  INFO(message(child));
  REQUIRE(child);
  while (!test::fs::exists(f.shared + "/ready")) std::this_thread::yield();
  presets::Attached box;
  box.join.pid = child->pid;
  const auto ended = run(f.k, box, f.shell("readlink /proc/self/ns/mnt > /mnt/0/out"), f.arena);
  test::write_file(f.shared + "/stop", "");
  CHECK(wait(f.k, *child)->code == 0);
  INFO(message(ended));
  REQUIRE(ended);
  CHECK(f.result() == test::read_file(f.shared + "/first"));
  const auto gone = run(f.k, box, f.shell("true"), f.arena);
  REQUIRE_FALSE(gone);
  CHECK(gone.error().code == Errno::esrch);
}

TEST_CASE("the child shares memory instead of copying it", "[userns]") {
  // Counted, not timed: after a fork, every page that is written to again costs a fault.
  Fixture f;
  constexpr std::size_t pages = 16384;
  constexpr std::size_t size = pages * 4096;
  auto* memory = static_cast<char*>(
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE(memory != MAP_FAILED);
  REQUIRE(madvise(memory, size, MADV_NOHUGEPAGE) == 0);
  const auto faults_of_writing = [&] {
    rusage before{};
    rusage after{};
    getrusage(RUSAGE_SELF, &before);
    for (std::size_t i = 0; i < size; i += 4096) memory[i] = 1;
    getrusage(RUSAGE_SELF, &after);
    return static_cast<std::size_t>(after.ru_minflt - before.ru_minflt);
  };
  CHECK(faults_of_writing() >= pages);  // the first time
  REQUIRE(run(f.k, f.host_integrated(), f.shell("exit 0"), f.arena));
  CHECK(faults_of_writing() < pages / 16);
  if (const pid_t child = fork(); child == 0)
    _exit(0);
  else
    waitpid(child, nullptr, 0);
  CHECK(faults_of_writing() >= pages);  // what spawn avoids
  munmap(memory, size);
}

TEST_CASE("a process whose real and effective ids differ makes no container", "[userns]") {
  if (getuid() != 0) return;  // only root can have a different group
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (setreuid(12345, static_cast<uid_t>(-1)) != 0) _exit(9);
    Fixture f;
    const auto refused = [](const auto& result) {
      return !result && result.error().code == Errno::eperm &&
             result.error().why.view().find("refusing to run with privilege") == 0;
    };
    presets::Bare bare;
    bare.mounts.get<ImageRoot<Fixed<Access::read_only>>>().image = HostPath(f.image.c_str());
    if (!refused(run(f.k, bare, f.shell("true"), f.arena))) _exit(1);
    if (!refused(spawn(f.k, bare, f.shell("true"), f.arena))) _exit(2);
    if (!refused(enter(f.k, bare, f.arena))) _exit(3);
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}
