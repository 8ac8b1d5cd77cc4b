// SPDX-License-Identifier: Apache-2.0
//
// --join from outside: one container for all peers, or one clear error for each.

#include "tests/join/peers.hpp"

using namespace test;

TEST_CASE("peers share one container", "[tool]") {
  Group g;
  g.start_ranks(4, 4, show_namespaces);
  std::set<std::string> seen;
  for (auto& peer : g.peers) {
    const Ran& ran = peer->wait();
    INFO(ran.err);
    CHECK(ran.status == 0);
    CHECK(ran.err.empty());
    seen.insert(ran.out);
  }
  CHECK(seen.size() == 1);
  CHECK_FALSE(contains(*seen.begin(), user_namespace(getpid())));
  g.check_nothing_left();
}

TEST_CASE("a joiner finds the mounts, the directory, the ids and the descriptors of a container",
          "[tool]") {
  Group g;
  fs::create_directory(g.image + "/work");
  const std::string look =
      "pwd; id -u; test -e /boot || echo no-host; ls /proc/self/fd | wc -l; ls /mnt/0; "
      "grep NoNewPrivs /proc/self/status; grep CapEff /proc/self/status; echo $HOME";
  write_file(g.home + "/mark", "");
  g.start_ranks(2, 2, {"sh", "-c", look}, {"--cd=/work", "-b", g.home, "--uid=7"});
  const std::string first = g.peers[0]->wait().out;
  CHECK(first == g.peers[1]->wait().out);
  INFO(first);
  CHECK(first.rfind("/work\n7\nno-host\n4\nmark\n", 0) == 0);
  CHECK(contains(first, "NoNewPrivs:\t1"));
  CHECK(contains(first, "CapEff:\t0000000000000000"));
}

TEST_CASE("the first peer's command may end before the others start theirs", "[tool]") {
  for (int round = 0; round < 20; ++round) {
    Group g;
    for (int rank = 0; rank < 4; ++rank) g.start({"--join-ct=4"}, {"/bin/true"}, rank);
    for (auto& peer : g.peers) {
      const Ran& ran = peer->wait();
      INFO(ran.err);
      CHECK(ran.status == 0);
    }
  }
}

TEST_CASE("a group of one needs no meeting", "[tool]") {
  Group g;
  const Ran ran = g.ch_run({"--join", "--join-ct=1", "-vv", g.image, "--", "true"});
  CHECK(ran.status == 0);
  CHECK_FALSE(contains(ran.err, "socket("));
}

TEST_CASE("too few peers get one error that says who came and who is missing", "[tool]") {
  // On a busy machine a peer may start so late that the first one has already given up
  // and they don't meet: then try again.
  for (int attempt = 0; attempt < 5; ++attempt) {
    Group g;
    for (const int rank : {0, 2}) g.start({"--join-ct=4", "--join-timeout=2"}, {"true"}, rank);
    bool met = true;
    for (auto& peer : g.peers) {
      CHECK(peer->wait().status == 31);
      CHECK_FALSE(peer->hung());
      met = met && !contains(peer->wait().err, "1 of 4 peers came");
    }
    g.check_nothing_left();
    if (!met) continue;
    for (auto& peer : g.peers) {
      INFO(peer->wait().err);
      CHECK(contains(peer->wait().err,
                     "within 2 s, 2 of 4 peers came: ranks 0, 2; missing: ranks 1, 3"));
      CHECK(contains(peer->wait().err, "remedy: start as many peers as --join-ct says"));
    }
    return;
  }
  FAIL("two peers never met within 2 s");
}

TEST_CASE("if ranks are unknown, process IDs are given", "[tool]") {
  for (int attempt = 0; attempt < 5; ++attempt) {
    Group g;
    Peer& a = g.start({"--join-ct=3", "--join-timeout=2"}, {"true"});
    Peer& b = g.start({"--join-ct=3", "--join-timeout=2"}, {"true"});
    const std::string err = a.wait().err;
    (void)b.wait();
    if (contains(err, "1 of 3 peers came")) continue;
    CHECK(contains(err, "2 of 3 peers came: processes "));
    CHECK(contains(err, std::to_string(a.pid())));
    CHECK(contains(err, std::to_string(b.pid())));
    return;
  }
  FAIL("two peers never met within 2 s");
}

TEST_CASE("one process too many is refused or begins its own group; the group is unharmed",
          "[tool]") {
  for (int round = 0; round < 10; ++round) {
    Group g;
    g.start_ranks(5, 4, show_namespaces);
    std::size_t ended = 0;
    std::size_t good = 0;
    REQUIRE(eventually([&] {
      ended = good = 0;
      for (auto& peer : g.peers) {
        if (!peer->ended()) continue;
        ++ended;
        good += peer->wait().status == 0 ? 1 : 0;
      }
      return good == 4 || ended == 5;
    }));
    // With the group gone, the name is free: the fifth may take it and wait for three more.
    const auto fifth = std::find_if(g.peers.begin(), g.peers.end(),
                                    [](auto& p) { return !p->ended() || p->wait().status != 0; });
    REQUIRE(fifth != g.peers.end());
    REQUIRE(eventually([&] { return (*fifth)->ended() || !names_held(g.tag).empty(); }));
    if (!(*fifth)->ended()) g.start_ranks(3, 4, show_namespaces);
    std::multiset<std::string> said;
    for (auto& peer : g.peers) {
      const Ran& ran = peer->wait();
      CHECK_FALSE(peer->hung());
      INFO(ran.err);
      if (ran.status == 0) {
        said.insert(ran.out);
        continue;
      }
      CHECK(g.peers.size() == 5);
      CHECK(ran.status == 31);
      CHECK(contains(ran.err, "was complete without this process"));
    }
    CHECK(said.size() == (g.peers.size() == 5 ? 4 : 8));
    for (const std::string& container : said) CHECK(said.count(container) % 4 == 0);
    g.check_nothing_left();
  }
}

TEST_CASE("a peer with a different count gets an error, and the group continues", "[tool]") {
  Group g;
  Peer& first = g.start({"--join-ct=2"}, {"true"});
  REQUIRE(g.wait_for_names());
  Peer& odd = g.start({"--join-ct=3"}, {"true"});
  CHECK(odd.wait().status == 31);
  CHECK(contains(odd.wait().err, "the group has 2 peers, and this process counts 3"));
  Peer& second = g.start({"--join-ct=2"}, {"true"});
  CHECK(first.wait().status == 0);
  CHECK(second.wait().status == 0);
}

TEST_CASE("what a joiner asked for and did not get is named in a warning", "[tool]") {
  Group g;
  const std::string other = g.dir / "other";
  make_image(other);
  struct {
    std::vector<std::string> options;
    std::string difference;
  } const cases[] = {
      {{"-b", g.home}, "asked for: mounts\n"},
      {{"--uid=7"}, "user or group ids"},
      {{"--hostname=box"}, "namespaces or host name\n"},
      {{"--write"}, "image ("},
      {{}, ""},
  };
  for (const auto& c : cases) {
    g.peers.clear();
    std::vector<std::string> options = {"--join-ct=2"};
    Peer& creator = g.start(options, {"true"});
    REQUIRE(g.wait_for_names());
    options.insert(options.end(), c.options.begin(), c.options.end());
    Peer& joiner = g.start(options, {"true"});
    CHECK(creator.wait().err.empty());
    const Ran& ran = joiner.wait();
    INFO(ran.err);
    CHECK(ran.status == 0);
    CHECK(contains(ran.err, c.difference));
    CHECK(ran.err.empty() == c.difference.empty());
  }
  g.peers.clear();
  Peer& creator = g.start({"--join-ct=2"}, {"true"});
  REQUIRE(g.wait_for_names());
  const Ran ran = g.ch_run({"--join-tag=" + g.tag, "--join-ct=2", other, "--", "true"});
  CHECK(creator.wait().status == 0);
  CHECK(contains(ran.err, "image (" + g.image + " instead of " + other + ")"));
}

TEST_CASE("a link to the same image is the same image", "[tool]") {
  Group g;
  const std::string link = g.dir / "link";
  fs::create_directory_symlink(g.image, link);
  Peer& creator = g.start({"--join-ct=2"}, {"true"});
  const Ran ran = g.ch_run({"--join-tag=" + g.tag, "--join-ct=2", link, "--", "true"});
  CHECK(creator.wait().status == 0);
  CHECK(ran.status == 0);
  CHECK(ran.err.empty());
}

TEST_CASE("a creator that can't make the container says why, and its peers name it", "[tool]") {
  Group g;
  g.start_ranks(3, 3, {"true"}, {"-b", "/nowhere:/mnt/0"});
  int own = 0;
  for (auto& peer : g.peers) {
    const Ran& ran = peer->wait();
    INFO(ran.err);
    CHECK_FALSE(peer->hung());
    CHECK(ran.status == 31);
    const bool met_it = contains(ran.err, "can't bind /nowhere");
    own += met_it ? 1 : 0;
    CHECK((met_it || contains(ran.err, "could not make the container for the group")));
  }
  CHECK(own >= 1);
  g.check_nothing_left();
}

TEST_CASE("a peer that dies is noticed and named at once", "[tool]") {
  Group g;
  g.start_ranks(3, 4, {"true"}, {"--join-timeout=3600"});
  REQUIRE(g.wait_for_names(3));  // all have met
  g.peers[0]->kill_now();        // the end of any peer, creator or joiner, ends the group
  for (const std::size_t i : {1U, 2U}) {
    const Ran& ran = g.peers[i]->wait();
    INFO(ran.err);
    CHECK_FALSE(g.peers[i]->hung());
    CHECK(ran.status == 31);
    CHECK((contains(ran.err, "which was to make the container, died before it was ready") ||
           contains(ran.err, "died while the group gathered")));
  }
  (void)g.peers[0]->wait();
  g.check_nothing_left();
}

TEST_CASE("a tag can be used again at once, whatever happened to it", "[tool]") {
  Group g;
  for (int round = 0; round < 10; ++round) {
    g.peers.clear();
    g.start_ranks(2, 3, {"true"});
    REQUIRE(g.wait_for_names());
    for (auto& peer : g.peers) peer->kill_now();
    for (auto& peer : g.peers) (void)peer->wait();
    g.peers.clear();
    g.start_ranks(3, 3, show_namespaces);
    std::set<std::string> seen;
    for (auto& peer : g.peers) seen.insert(peer->wait().out);
    CHECK(seen.size() == 1);
  }
}

TEST_CASE("groups with different tags don't meet", "[tool]") {
  Group a;
  Group b;
  // All alive at the same time, since a namespace's number can be reused when it is gone.
  const std::vector<std::string> stay = {"sh", "-c", "readlink /proc/self/ns/mnt; exec sleep 1000"};
  for (Group* group : {&a, &b}) {
    group->start_ranks(2, 2, stay);
    for (const auto& peer : group->peers) CHECK(peer->wait_for_output());
    CHECK(group->peers[0]->out_so_far() == group->peers[1]->out_so_far());
  }
  CHECK(a.peers[0]->out_so_far() != b.peers[0]->out_so_far());
}

TEST_CASE("more namespaces are shared, too", "[tool]") {
  Group g;
  g.start_ranks(2, 2,
                {"sh", "-c",
                 "readlink /proc/self/ns/uts; readlink /proc/self/ns/ipc; "
                 "readlink /proc/self/ns/net; cat /proc/sys/kernel/hostname"},
                {"--namespaces=ipc,net", "--hostname=box"});
  const std::string out = g.peers[0]->wait().out;
  CHECK(contains(out, "\nbox\n"));
  CHECK(out == g.peers[1]->wait().out);
  const Ran refused = g.ch_run({"--join-ct=2", "--namespaces=pid", g.image, "--", "true"});
  CHECK(refused.status == 64);
  CHECK(contains(refused.err, "a pid or time namespace can't be shared with --join"));
}

TEST_CASE("the id of unmapped users is refused", "[tool]") {
  Group g;
  const Ran ran =
      g.ch_run({"--join-tag=" + g.tag, "--join-ct=2", "--uid=65534", g.image, "--", "true"});
  CHECK(ran.status == 31);
  CHECK(contains(ran.err, "user 65534 is what all unmapped users look like"));
}
