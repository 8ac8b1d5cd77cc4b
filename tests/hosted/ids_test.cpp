// SPDX-License-Identifier: Apache-2.0
//
// Containers with several ids: the subordinate ids that an administrator granted to a user.

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "ch/run.hpp"
#include "tests/support/files.hpp"

using namespace ch;

namespace {

struct Fixture {
  test::TempDir dir;
  std::string image_path = dir / "image";
  Fixture() { test::make_image(image_path); }
};

bool has_ids() {
  return !subordinate_ids().problem() &&
         (::geteuid() == 0 || ::access("/usr/bin/newuidmap", X_OK) == 0);
}

/// The lines of a map file, single blanks between numbers.
std::string map_of_process(const char* file) {
  std::ifstream in(file);
  std::string all;
  for (std::uint64_t inside = 0, outside = 0, count = 0; in >> inside >> outside >> count;)
    all +=
        std::to_string(inside) + ' ' + std::to_string(outside) + ' ' + std::to_string(count) + '\n';
  return all;
}

/// What it should be, according to the box.
template <class Id>
std::string wanted_map(std::span<const IdRange<Id>> ranges) {
  std::ostringstream all;
  for (const auto& range : ranges)
    all << static_cast<unsigned>(range.inside) << ' ' << static_cast<unsigned>(range.outside) << ' '
        << range.count << '\n';
  return all.str();
}

}  // namespace

TEST_CASE("ranges of subordinate ids are those of the user's name or number", "[pure]") {
  std::istringstream text(
      "ada:100000:65536\n# a comment\n\nbob:1:2:3\nbob:x:5\n1234:500000:10\nada:900000:5\n"
      "ada:7:0\nadam:1:1\n");
  const auto ranges = parse_subids(text, "ada", Uid{1234});
  CHECK(ranges == std::vector<SubordinateRange>{{100000, 65536}, {500000, 10}, {900000, 5}});
  CHECK(map_of(Uid{1234}, ranges) == std::vector<IdRange<Uid>>{{Uid{0}, Uid{1234}, 1},
                                                               {Uid{1}, Uid{100000}, 65536},
                                                               {Uid{65537}, Uid{500000}, 10},
                                                               {Uid{65547}, Uid{900000}, 5}});
  CHECK(map_of(Uid{7}, {{4294967290, 10}, {5, 4294967295}, {8, 2}}) ==
        std::vector<IdRange<Uid>>{{Uid{0}, Uid{7}, 1}, {Uid{1}, Uid{8}, 2}});
}

TEST_CASE("several ids are in the plan, in every format", "[pure]") {
  const std::vector<IdRange<Uid>> users = {{Uid{0}, Uid{1000}, 1}, {Uid{1}, Uid{100000}, 65536}};
  const std::vector<IdRange<Gid>> groups = {{Gid{0}, Gid{1000}, 1}, {Gid{1}, Gid{200000}, 5}};
  const auto box = compose(also<>, MappedIds{users, groups});
  const auto text = explain(box, {"true"});
  REQUIRE(text);
  CHECK(text->find("map uids (inside outside count): 0 1000 1, 1 100000 65536") !=
        std::string::npos);
  CHECK(text->find("map gids (inside outside count): 0 1000 1, 1 200000 5") != std::string::npos);
  CHECK(explain(box, {"true"}, Form::json)->find("\"more\": \"1 100000 65536\"") !=
        std::string::npos);
  CHECK(explain(box, {"true"}, Form::shell)->find("--map-auto") != std::string::npos);
  // By itself a process can't write such a map.
  ArenaOf<131072> arena;
  kernel::Linux k;
  Container<NamespaceSet<ns::user>, HostMounts, MappedIds> alone;
  alone.ids = {users, groups};
  const char* const argv[] = {"true", nullptr};
  const auto refused = run(k, alone, Program{"true", argv, ::environ}, arena);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errno::eperm);
}

TEST_CASE_METHOD(Fixture, "a program and a function have the subordinate ids of the caller",
                 "[userns]") {
  SKIP_UNLESS(has_ids(), "no subordinate ids are configured for this user");
  const SubordinateIds ids = subordinate_ids();
  const std::string users = wanted_map<Uid>(ids.policy().users);
  const std::string groups = wanted_map<Gid>(ids.policy().groups);
  const auto in = [&](const auto& box) {
    const auto mapped = call(box, [] {
      return map_of_process("/proc/self/uid_map") + map_of_process("/proc/self/gid_map");
    });
    REQUIRE(mapped);
    CHECK(*mapped == users + groups);
    const auto who = capture(box, {"id", "-u"});
    REQUIRE(who);
    CHECK(who->out == "0\n");
    const auto owner =
        capture(box, {"sh", "-c", "d=$(mktemp -d) && chown 5:7 $d && stat -c %u:%g $d; rmdir $d"});
    REQUIRE(owner);
    CHECK(owner->out == "5:7\n");
  };
  in(compose(NamespaceSet<ns::user>{}, subordinate_ids()));
  in(compose(image(image_path), devices, shared_tmp, subordinate_ids()));
  const kernel::OwnedFd directory(::open(image_path.c_str(), O_PATH | O_CLOEXEC));
  in(compose(image(directory.kernel_fd()), devices, shared_tmp, subordinate_ids()));
  // With a pid namespace, too, whose first process asks for the maps.
  const auto numbered =
      capture(compose(image(image_path), devices, also<ns::pid>, subordinate_ids()),
              {"cat", "/proc/self/uid_map"});
  REQUIRE(numbered);
  CHECK(std::count(numbered->out.begin(), numbered->out.end(), '\n') ==
        static_cast<long>(ids.policy().users.size()));
  const auto absent = run(compose(image(image_path), subordinate_ids()), {"no-such-program"});
  REQUIRE_FALSE(absent);
  CHECK(absent.error().exit_status() == 49);
  CHECK_FALSE(run(compose(image(image_path), subordinate_ids(), peers("with-ids", 2)), {"true"}));
}

TEST_CASE_METHOD(Fixture,
                 "ids that were never granted are refused, and the failure says whom to ask",
                 "[userns]") {
  if (::geteuid() == 0) return;  // root has every id
  const std::vector<IdRange<Uid>> users = {{Uid{0}, static_cast<Uid>(::geteuid()), 1},
                                           {Uid{1}, Uid{1}, 2}};
  const std::vector<IdRange<Gid>> groups = {{Gid{0}, static_cast<Gid>(::getegid()), 1},
                                            {Gid{1}, Gid{1}, 2}};
  const auto box = compose(image(image_path), MappedIds{users, groups});
  const auto refused = run(box, {"true"}, {.err = Stream::null()});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().path == "newuidmap");
  CHECK(refused.error().kind == Remedy::do_without_ids);
  CHECK(refused.error().remedy.find("ask the administrator") != std::string::npos);
  CHECK_FALSE(call(box, [] {}));
}
