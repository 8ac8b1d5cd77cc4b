// SPDX-License-Identifier: Apache-2.0
//
// A directory of --overlay belongs to one container at a time, and to one
// image; a run that is refused leaves nothing.

#include <algorithm>
#include <csignal>
#include <set>

#include "tests/join/peers.hpp"

using test::contains;
using test::fs::exists;

namespace {

/// All names below `directory`.
std::set<std::string> names_in(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& e : test::fs::recursive_directory_iterator(
           directory, test::fs::directory_options::skip_permission_denied))
    names.insert(e.path());
  return names;
}

}  // namespace

TEST_CASE("an overlay's directory that a container uses is refused to others", "[tool]") {
  test::ChRun f;
  const std::string layer = f.dir / "layer";
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  const pid_t user = fork();
  REQUIRE(user >= 0);
  if (user == 0) {
    dup2(pipe_ends[1], 1);
    const std::string option = "--overlay=" + layer;
    execl(test::ch_run_path().c_str(), "ch-run", "--no-home", option.c_str(), f.image.c_str(), "--",
          "sh", "-c", "echo ready; exec sleep 1000", nullptr);
    _exit(127);
  }
  char c = 0;
  REQUIRE(read(pipe_ends[0], &c, 1) == 1);
  for (int i = 0; i < 4; ++i) {
    const auto ran = f.script("touch /etc/lost", {"--no-home", "--overlay=" + layer});
    INFO(ran.err);
    CHECK(ran.status == 31);
    CHECK(contains(ran.err, "another container uses this directory"));
  }
  kill(user, SIGKILL);
  REQUIRE(waitpid(user, nullptr, 0) == user);
  CHECK(f.script("touch /etc/kept", {"--no-home", "--overlay=" + layer}).status == 0);
  CHECK(test::fs::exists(layer + "/upper/etc/kept"));
  CHECK_FALSE(test::fs::exists(layer + "/upper/etc/lost"));
}

TEST_CASE("of 2, 4 and 64 at once over one directory, one gets it and nothing is corrupted",
          "[tool]") {
  for (const int count : {2, 4, 64}) {
    test::ChRun f;
    const std::string layer = f.dir / "layer";
    std::vector<std::unique_ptr<test::Peer>> peers;
    for (int i = 0; i < count; ++i)
      peers.push_back(std::make_unique<test::Peer>(
          std::vector<std::string>{
              test::ch_run_path(), "--no-home", "--overlay=" + layer, f.image, "--", "sh", "-c",
              "touch /etc/mine-$0 && echo in && exec sleep 1000", std::to_string(i)},
          f.options, f.dir / ("peer" + std::to_string(i))));
    // All but one end by themselves; the one stays until it is killed.
    const auto running = [&] {
      return std::count_if(peers.begin(), peers.end(), [](auto& p) { return !p->ended(); });
    };
    REQUIRE(test::eventually([&] { return running() <= 1; }));
    REQUIRE(running() == 1);
    for (int i = 0; i < count; ++i) {
      auto& peer = *peers[static_cast<std::size_t>(i)];
      if (!peer.ended()) {
        REQUIRE(peer.wait_for_output());
        CHECK(exists(layer + "/upper/etc/mine-" + std::to_string(i)));
        peer.kill_now();
        (void)peer.wait();
        continue;
      }
      const test::Ran& ran = peer.wait();
      INFO(ran.err);
      CHECK(ran.status == 31);
      CHECK(contains(ran.err, "another container uses this directory"));
      CHECK(contains(ran.err, "--join"));
      CHECK_FALSE(exists(layer + "/upper/etc/mine-" + std::to_string(i)));
    }
  }
}

TEST_CASE("peers of --join share one layer", "[tool]") {
  test::Group g;
  const std::string layer = g.dir / "layer";
  const std::vector<std::string> meet_in_it = {
      "sh", "-c",
      "touch /etc/$SLURM_LOCALID; while ! test -e /etc/0 -a -e /etc/1 -a -e /etc/2; do "
      "sleep 0.01; done; echo all"};
  g.start_ranks(3, 3, meet_in_it, {"--overlay=" + layer});
  for (auto& peer : g.peers) {
    const test::Ran& ran = peer->wait();
    INFO(ran.err);
    CHECK(ran.status == 0);
    CHECK(ran.out == "all\n");
  }
  for (const char* name : {"0", "1", "2"}) CHECK(exists(layer + "/upper/etc/" + name));
}

TEST_CASE("a layer goes over the image that it was made over, and over no other", "[tool]") {
  test::ChRun f;
  const std::string layer = f.dir / "layer";
  const std::string other = f.dir / "other";
  test::make_image(other);
  REQUIRE(f.script("echo kept > /etc/kept", {"--overlay=" + layer}).status == 0);
  CHECK(contains(test::read_file(layer + "/made-over"), f.image + "\n"));
  const auto before = names_in(layer);

  const auto refused = f.ch_run({"--overlay=" + layer, other, "--", "true"});
  INFO(refused.err);
  CHECK(refused.status == 31);
  CHECK(contains(refused.err, "this layer was made over another image"));
  CHECK(contains(refused.err, "remove that file"));
  CHECK(names_in(layer) == before);

  // Moved, it is the same image; unpacked again at the same path, it is another.
  const std::string moved = f.dir / "moved";
  test::fs::rename(f.image, moved);
  CHECK(f.ch_run({"--overlay=" + layer, moved, "--", "cat", "/etc/kept"}).out == "kept\n");
  test::make_image(f.image);
  CHECK(f.ch_run({"--overlay=" + layer, f.image, "--", "true"}).status == 31);

  // A user who removes the record has decided; from then on it is the other image's.
  test::fs::remove(layer + "/made-over");
  const auto taken = f.ch_run({"--overlay=" + layer, other, "--", "cat", "/etc/kept"});
  INFO(taken.err);
  CHECK(taken.out == "kept\n");
  CHECK(f.ch_run({"--overlay=" + layer, moved, "--", "true"}).status == 31);
}

TEST_CASE("a layer from before layers had records is accepted", "[tool]") {
  test::ChRun f;
  const std::string layer = f.dir / "layer";
  test::fs::create_directories(layer + "/upper/etc");
  test::fs::create_directory(layer + "/work");
  test::write_file(layer + "/upper/etc/kept", "kept\n");
  CHECK(f.script("cat /etc/kept", {"--overlay=" + layer}).out == "kept\n");
  CHECK(exists(layer + "/made-over"));
  test::write_file(layer + "/made-over", "");  // truncated when the disk was full
  CHECK(f.script("cat /etc/kept", {"--overlay=" + layer}).out == "kept\n");
}

TEST_CASE("the image, a place in it or around it as the layer is refused and leaves nothing",
          "[tool]") {
  test::ChRun f;
  const auto check_refused = [&](const std::string& layer, const std::string& image) {
    const auto before = names_in(f.dir.path());
    const auto ran = f.ch_run({"--no-home", "--overlay=" + layer, image, "--", "true"});
    INFO(layer << ": " << ran.err);
    CHECK(ran.status == 31);
    CHECK(contains(ran.err, "the directory lies in the image"));
    CHECK(names_in(f.dir.path()) == before);
  };
  check_refused(f.image, f.image);
  check_refused(f.image + "/.", f.image);
  check_refused(f.image + "/new", f.image);
  check_refused(f.image + "/etc", f.image);
  const std::string around = f.dir / "around";
  test::fs::create_directories(around + "/upper");
  test::make_image(around + "/upper/image");
  check_refused(around, around + "/upper/image");
  // A layer beside its image is fine.
  CHECK(f.script("touch /etc/x", {"--no-home", "--overlay=" + f.dir.path().string()}).status == 0);
  CHECK(exists(f.dir / "upper/etc/x"));
}

TEST_CASE("a layer that can't be used, whatever the reason, leaves nothing", "[tool]") {
  test::ChRun f;
  const auto before = names_in(f.dir.path());
  const std::vector<std::string> unfit = {"/proc", f.dir / "no/such/parent", f.image + "/bin/sh"};
  for (const std::string& layer : unfit) {
    const auto ran = f.script("true", {"--no-home", "--overlay=" + layer});
    INFO(layer << ": " << ran.err);
    CHECK(ran.status == 31);
    CHECK(contains(ran.err, "overlay the image with " + layer));
    CHECK(contains(ran.err, "remedy: "));
    CHECK(names_in(f.dir.path()) == before);
  }
}

TEST_CASE("--write-fake and --overlay contradict each other", "[tool]") {
  test::ChRun f;
  const std::string layer = f.dir / "layer";
  for (const auto& options : {std::vector<std::string>{"-W", "--overlay=" + layer},
                              std::vector<std::string>{"--overlay=" + layer, "--write-fake=10m"}}) {
    const auto ran = f.script("true", options);
    CHECK(ran.status == 64);
    CHECK(contains(ran.err, "--overlay keeps it: choose one"));
  }
  CHECK_FALSE(exists(layer));
}

TEST_CASE("an overlay of an image with mounts inside is refused with that reason", "[tool]") {
  test::ChRun f;
  // Mounted where ch-run is started, beyond the reach of its own user namespace.
  const std::string mount_and_run =
      "mount --make-rprivate / && mount -t tmpfs none " + f.image + "/mnt/0 && exec \"$@\"";
  const auto in_mounts = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"/usr/bin/unshare", "--map-root-user", "--mount", "sh", "-c", mount_and_run,
                      "sh", test::ch_run_path(), "--no-home"});
    return test::run(arguments, f.options);
  };
  const auto before = names_in(f.dir.path());
  for (const auto& options : {std::vector<std::string>{"-W"},
                              {"--overlay=" + f.dir.path().string() + "/layer"},
                              {"-b", f.home + ":/not/there"}}) {
    for (const std::string way : {"detached", "attached"}) {
      auto arguments = options;
      arguments.insert(arguments.end(), {"--assembly=" + way, f.image, "--", "true"});
      const auto ran = in_mounts(arguments);
      INFO(options[0] << " " << way << ": " << ran.err);
      CHECK(ran.status == 31);
      CHECK(contains(ran.err, "file systems are mounted inside the image"));
      CHECK(contains(ran.err, "remedy: "));
      CHECK(names_in(f.dir.path()) == before);
    }
  }
  // Without an overlay they are included.
  const auto along = in_mounts({f.image, "--", "grep", "-c", " /mnt/0 ", "/proc/self/mountinfo"});
  CHECK(along.out == "1\n");
}
