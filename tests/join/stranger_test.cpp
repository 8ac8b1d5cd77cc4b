// SPDX-License-Identifier: Apache-2.0
//
// A malicious second user on the same machine: takes the names first, listening or not,
// fills the queue, pretends to be a peer. The group must gather nevertheless. Needs root,
// to act as two other users.

#include <sys/socket.h>
#include <sys/un.h>

#include "tests/join/peers.hpp"

using namespace test;

namespace {

constexpr uid_t stranger = 54321;

struct Name {
  sockaddr_un address{};
  socklen_t size = 0;
  Name(uid_t uid, unsigned n, const std::string& tag) {
    address.sun_family = AF_UNIX;
    const std::string name =
        "charlie/join/" + std::to_string(uid) + "/" + std::to_string(n) + "/" + tag;
    name.copy(address.sun_path + 1, name.size());
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

/// A process of the other user that does `work` until it is killed. Ready when this returns.
class Stranger {
 public:
  template <class Work>
  explicit Stranger(Work work) {
    int ready[2];
    REQUIRE(pipe2(ready, O_CLOEXEC) == 0);
    pid_ = fork();
    if (pid_ == 0) {
      if (setresgid(stranger, stranger, stranger) != 0 ||
          setresuid(stranger, stranger, stranger) != 0)
        _exit(1);
      work([&] { (void)!write(ready[1], "x", 1); });
      for (;;) pause();
    }
    close(ready[1]);
    char c = 0;
    REQUIRE(read(ready[0], &c, 1) == 1);
    close(ready[0]);
  }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;
  ~Stranger() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = -1;
};

int hold(const Name& name, int backlog) {
  const int s = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  if (bind(s, name.get(), name.size) != 0) _exit(1);
  if (backlog >= 0) listen(s, backlog);
  return s;
}

void check_complete(Group& g) {
  std::set<std::string> seen;
  for (auto& peer : g.peers) {
    const Ran& ran = peer->wait();
    INFO(ran.err);
    CHECK_FALSE(peer->hung());
    CHECK(ran.status == 0);
    seen.insert(ran.out);
  }
  CHECK(seen.size() == 1);
  CHECK(g.processes() == 0);
}

}  // namespace

#define AS_ROOT_ONLY()                              \
  if (geteuid() != 0) {                             \
    WARN("only as root, who can be a second user"); \
    return;                                         \
  }

TEST_CASE("a stranger who holds the first names delays no peer for long", "[tool]") {
  AS_ROOT_ONLY();
  for (const int backlog : {-1, 0, 10}) {
    INFO("listening with " << backlog);
    Group g;
    const Stranger squatter([&](auto ready) {
      for (unsigned n = 0; n < 3; ++n) hold(Name(0, n, g.tag), backlog);
      ready();
    });
    g.start_ranks(4, 4, show_namespaces);
    check_complete(g);
  }
}

TEST_CASE("a stranger who answers like a creator is not believed", "[tool]") {
  AS_ROOT_ONLY();
  Group g;
  const Stranger liar([&](auto ready) {
    const int s = hold(Name(0, 0, g.tag), 100);
    ready();
    for (;;) {
      const int c = accept(s, nullptr, nullptr);
      const char nonsense[1024] = {};
      send(c, nonsense, sizeof nonsense, MSG_NOSIGNAL);
    }
  });
  g.start_ranks(4, 4, show_namespaces);
  check_complete(g);
}

TEST_CASE("a stranger who holds all names is named as the cause", "[tool]") {
  AS_ROOT_ONLY();
  Group g;
  const Stranger squatter([&](auto ready) {
    for (unsigned n = 0; n < 8; ++n) hold(Name(0, n, g.tag), 10);
    ready();
  });
  g.start_ranks(2, 2, {"true"}, {"--join-timeout=2"});
  for (auto& peer : g.peers) {
    const Ran& ran = peer->wait();
    CHECK(ran.status == 31);
    INFO(ran.err);
    CHECK(contains(ran.err, "other users hold all 8 names"));
    CHECK(contains(ran.err, ", user " + std::to_string(stranger) + " among them"));
    CHECK(contains(ran.err, "remedy: choose another --join-tag, one that nobody can guess"));
  }
}

TEST_CASE("names that a stranger takes and releases don't split a group", "[tool]") {
  AS_ROOT_ONLY();
  for (int round = 0; round < 20; ++round) {
    Group g;
    const Stranger toggler([&](auto ready) {
      ready();
      for (unsigned i = 0;; ++i) {
        const Name name(0, i % 2, g.tag);
        const int s = socket(AF_UNIX, SOCK_SEQPACKET, 0);
        if (bind(s, name.get(), name.size) == 0) listen(s, 10);
        usleep(300);
        close(s);
      }
    });
    for (int rank = 0; rank < 6; ++rank) {
      g.start({"--join-ct=6"}, show_namespaces, rank);
      std::this_thread::sleep_for(std::chrono::microseconds(200 * (round % 5)));
    }
    INFO("round " << round);
    check_complete(g);
  }
}

TEST_CASE("a flood of a stranger's connections has no effect and does not hang", "[tool]") {
  AS_ROOT_ONLY();
  Group g;
  g.start({"--join-ct=4"}, show_namespaces, 0);
  REQUIRE(g.wait_for_names());
  std::vector<std::unique_ptr<Stranger>> floods;
  for (int i = 0; i < 4; ++i)
    floods.push_back(std::make_unique<Stranger>([&](auto ready) {
      rlimit many{65536, 65536};
      setrlimit(RLIMIT_NOFILE, &many);
      const Name name(0, 0, g.tag);
      for (bool first = true;; first = false) {
        int held[256];
        for (int& s : held) {
          s = socket(AF_UNIX, SOCK_SEQPACKET, 0);
          connect(s, name.get(), name.size);
          send(s, "charlie", 7, MSG_NOSIGNAL);
        }
        if (first) ready();
        for (const int s : held) close(s);
      }
    }));
  for (int rank = 1; rank < 4; ++rank) g.start({"--join-ct=4"}, show_namespaces, rank);
  check_complete(g);
}

TEST_CASE("a stranger can't join a living tag, nor pose as a member", "[tool]") {
  AS_ROOT_ONLY();
  Group g;
  const Stranger pretender([&](auto ready) {
    // The name of a member, of its own process, at the descriptor where one would look.
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    const std::string name = "charlie/tag/0/" + std::to_string(getpid()) + "/" + g.tag;
    name.copy(a.sun_path + 1, name.size());
    const int s = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    bind(s, reinterpret_cast<sockaddr*>(&a),
         static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size()));
    dup2(s, 200);
    ready();
  });
  Peer& peer = g.start({"--join-ct=0"}, show_namespaces);
  CHECK(peer.wait().status == 0);
  CHECK_FALSE(contains(peer.wait().out, user_namespace(getpid())));
}

TEST_CASE("a stranger who squats on, answers or floods a living tag's names can't split it",
          "[tool]") {
  AS_ROOT_ONLY();
  enum class Ill { squats, holds, answers, floods };
  for (const Ill ill : {Ill::squats, Ill::holds, Ill::answers, Ill::floods}) {
    Group g;
    const Stranger other([&](auto ready) {
      const int s = hold(Name(0, 0, g.tag), ill == Ill::squats ? -1 : 100);
      if (ill != Ill::floods) ready();
      while (ill == Ill::answers) {
        const int c = accept(s, nullptr, nullptr);
        const char nonsense[1024] = {};
        send(c, nonsense, sizeof nonsense, MSG_NOSIGNAL);
      }
      if (ill != Ill::floods) return;
      close(s);  // the names are theirs, and full of our connections
      rlimit many{65536, 65536};
      setrlimit(RLIMIT_NOFILE, &many);
      for (bool first = true;; first = false) {
        int held[256];
        for (int& c : held) {
          const Name name(0, static_cast<unsigned>(&c - held) % 2, g.tag);
          c = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
          connect(c, name.get(), name.size);
          send(c, "charlie", 7, MSG_NOSIGNAL);
        }
        if (first) ready();
        for (const int c : held) close(c);
      }
    });
    for (int i = 0; i < 4; ++i) g.start({"--join-ct=0"}, say_and_stay);
    INFO("the stranger: " << static_cast<int>(ill));
    for (auto& peer : g.peers) REQUIRE(peer->wait_for_output());
    std::set<std::string> containers;
    for (auto& peer : g.peers) containers.insert(peer->out_so_far());
    CHECK(containers.size() == 1);
    for (auto& peer : g.peers) {
      peer->kill_now();
      (void)peer->wait();
    }
    CHECK(g.processes() == 0);
  }
}

TEST_CASE("a stranger who holds all names of a living tag is named as the cause", "[tool]") {
  AS_ROOT_ONLY();
  Group g;
  const Stranger squatter([&](auto ready) {
    for (unsigned n = 0; n < 8; ++n) hold(Name(0, n, g.tag), 10);
    ready();
  });
  Peer& peer = g.start({"--join-ct=0", "--join-timeout=2"}, {"true"});
  CHECK(peer.wait().status == 31);
  CHECK(contains(peer.wait().err, "other users hold all 8 names"));
}
