// SPDX-License-Identifier: Apache-2.0
//
// The meeting on a test double of the kernel: the calls of a creator and a joiner, their order,
// and that whichever call fails, the error names the right step and no descriptor stays open.

#include <catch2/catch.hpp>
#include <cstring>
#include <functional>
#include <string>

#include "ch/execute/execute.hpp"
#include "ch/kernel/recording.hpp"
#include "ch/presets.hpp"
#include "ch/show/explain.hpp"
#include "ch/show/print_json.hpp"
#include "ch/show/print_shell.hpp"

using namespace ch;
using kernel::Call;
using kernel::Recording;

namespace {

enum class Other { nobody, creator, peers };

/// A kernel in which the group's other processes behave as told.
struct World : Recording<512> {
  Other others;
  meeting::Verdict verdict = meeting::Verdict::welcome;
  int heard = 0;
  int accepted = 0;
  long clock = 0;
  std::size_t fail_call = ~std::size_t{0};
  Errno fail_code = Errno::none;
  std::size_t made = 0;
  Call failed = Call::none;
  std::size_t first_call_of[64] = {};
  std::size_t performed[64] = {};
  std::size_t steps = 0;
  int joined = 0;

  explicit World(Other o) : others(o) {}

  void on_step(StepIndex index, const Step&) noexcept {
    first_call_of[steps] = made;
    performed[steps++] = static_cast<std::size_t>(index);
  }
  void on_joined(const Gathering&) noexcept { ++joined; }
  [[nodiscard]] std::size_t step_of(std::size_t call) const {
    std::size_t step = 0;
    while (step + 1 < steps && first_call_of[step + 1] <= call) ++step;
    return performed[step];
  }

  template <class... Arguments>
  long call(Call which, Arguments... arguments) noexcept {
    if (made++ == fail_call) {
      failed = which;
      return -static_cast<long>(fail_code);
    }
    const long result = Recording<512>::call(which, arguments...);
    const long a[7] = {arguments...};
    if (result < 0) return result;
    switch (which) {
      case Call::clock_gettime:  // each reading of the clock advances it by a second
        *reinterpret_cast<kernel::TimeSpec*>(a[1]) = {++clock, 0};
        return 0;
      case Call::bind:
        return others == Other::creator ? -static_cast<long>(Errno::eaddrinuse) : 0;
      case Call::connect:
        return others == Other::creator ? 0 : -static_cast<long>(Errno::econnrefused);
      case Call::getsockopt:
        reinterpret_cast<kernel::PeerCredentials*>(a[3])->uid = 1000;
        reinterpret_cast<kernel::PeerCredentials*>(a[3])->pid = static_cast<Pid>(77);
        return 0;
      case Call::accept4:
        if (others == Other::peers && heard < 1 && ++accepted < 4) return result;
        (void)Recording<512>::call(Call::close, result);
        return -static_cast<long>(Errno::eagain);
      case Call::recvmsg:
        return receive(*reinterpret_cast<kernel::Message::Header*>(a[1]));
      default:
        return result;
    }
  }
  long receive(kernel::Message::Header& message) noexcept {
    if (others == Other::peers) {
      const meeting::Hello hello{meeting::magic, 2, 1};
      std::memcpy(message.pieces->data, &hello, sizeof hello);
      ++heard;
      return sizeof hello;
    }
    meeting::Answer answer;
    answer.verdict = verdict;
    answer.flags = kernel::clone_newuser | kernel::clone_newns;
    answer.code = static_cast<int>(Errno::etimedout);
    TextWriter(answer.text, sizeof answer.text) << "what the creator says";
    std::memcpy(message.pieces->data, &answer, sizeof answer);
    if (verdict == meeting::Verdict::welcome && message.control != nullptr)
      for (int i = 0; i < 2; ++i)
        reinterpret_cast<kernel::Message::Rights*>(message.control)->fds[i] =
            static_cast<Fd>(Recording<512>::call(Call::openat, static_cast<long>(Fd::cwd),
                                                 reinterpret_cast<long>("ns"), 0L, 0L));
    return sizeof answer;
  }
  [[nodiscard]] std::string text() const {
    std::string all;
    for (const auto& record : trace()) all += std::string(record.text) + "\n";
    return all;
  }
};

/// A creator to which something happens before it admits its peers.
struct Interrupted : World {
  std::function<void()> meanwhile;
  explicit Interrupted(std::function<void()> f) : World(Other::peers), meanwhile(std::move(f)) {}
  void on_step(StepIndex index, const Step& step) noexcept {
    World::on_step(index, step);
    if (std::holds_alternative<step::AdmitPeers>(step)) meanwhile();
  }
};

struct Peers {
  ArenaOf<std::size_t{256} * 1024> arena;
  const char* argv[2] = {"/bin/true", nullptr};
  const char* envp[1] = {nullptr};
  Container<presets::Unprivileged, presets::HostIntegratedMounts, ChosenIds, PeerGroup> container;
  Plan plan;
  Arena::Mark planned;

  explicit Peers(std::uint32_t count = 2) {
    container.ids = {static_cast<Uid>(1000), static_cast<Gid>(1000)};
    container.mounts.get<ImageRoot<>>() = {HostPath("/image"), Access::read_only};
    container.mounts.get<Accounts>() = {"alice", "users", "/"};
    container.join = {"tag", count, 0, 30};
    const HostFacts facts{static_cast<Uid>(1000), static_cast<Gid>(1000), {6, 18}};
    const auto made = container.plan(facts, {"/bin/true", argv, envp}, arena);
    REQUIRE(made);
    plan = *made;
    planned = arena.mark();
  }
  [[nodiscard]] std::size_t index_of_admission() const {
    std::size_t i = 0;
    while (!std::holds_alternative<step::AdmitPeers>(plan.steps[i])) ++i;
    return i;
  }
  /// Reset each time; what an error names stays valid until the next call.
  template <class K>
  [[nodiscard]] Result<void> execute_with(K& k) {
    arena.rewind(planned);
    return execute(k, plan, arena);
  }
};

}  // namespace

TEST_CASE("a creator makes the container and hands it on; a joiner only takes it", "[recorded]") {
  Peers p;
  World creating(Other::peers);
  const auto created = p.execute_with(creating);
  CHECK(created.error().operation == Call::execve);
  CHECK(creating.open_descriptors() == 0);
  CHECK(creating.steps == p.plan.steps.size());
  const std::string long_trace = creating.text();
  CHECK(long_trace.find("unshare") < long_trace.find("sendmsg"));
  CHECK(long_trace.find("openat(") != std::string::npos);

  World joining(Other::creator);
  const auto joined = p.execute_with(joining);
  CHECK(joined.error().operation == Call::execve);
  CHECK(joining.open_descriptors() == 0);
  CHECK(joining.joined == 1);
  const std::string trace = joining.text();
  CHECK(trace.find("unshare") == std::string::npos);
  CHECK(trace.find("mount") == std::string::npos);
  CHECK(trace.find("setns(") < trace.rfind("setns("));
  CHECK(joining.size() < 30);
  CHECK(joining.size() * 3 < creating.size());
}

TEST_CASE("whichever call fails in a meeting, the error names its step and nothing stays open",
          "[recorded]") {
  for (const Other others : {Other::peers, Other::creator}) {
    Peers p;
    World healthy(others);
    (void)p.execute_with(healthy);
    int blamed = 0;
    for (std::size_t call = 0; call + 1 < healthy.made; ++call) {
      for (const Errno code : {Errno::eperm, Errno::enomem, Errno::emfile}) {
        World k(others);
        k.fail_call = call;
        k.fail_code = code;
        const auto done = p.execute_with(k);
        REQUIRE_FALSE(done);
        INFO("others " << static_cast<int>(others) << ", call " << call << " "
                       << kernel::shape(k.failed).name << ", errno " << static_cast<int>(code));
        CHECK(k.open_descriptors() <= (k.failed == Call::close ? 1 : 0));
        if (done.error().operation == Call::execve) continue;  // the call was not essential
        ++blamed;
        CHECK(static_cast<std::size_t>(done.error().step) == healthy.step_of(call));
        TextBuffer<2048> message;
        write_message(message, "ch-run", done.error(), p.plan, {});
        CHECK(message.view().rfind("ch-run: error: can't ", 0) == 0);
      }
    }
    CHECK(blamed > 20);
  }
}

TEST_CASE("one plan can be executed a second time while the first is in progress", "[recorded]") {
  Peers p;
  World joining(Other::creator);
  ArenaOf<16384> own;
  Interrupted creating([&] {
    CHECK(execute(joining, p.plan, own).error().operation == Call::execve);
    CHECK(joining.joined == 1);
  });
  const auto created = p.execute_with(creating);
  CHECK(created.error().operation == Call::execve);
  CHECK(creating.text().find("sendmsg") != std::string::npos);  // peers have been admitted
  CHECK(creating.joined == 0);
  CHECK(creating.open_descriptors() == 0);
  CHECK(joining.open_descriptors() == 0);
}

TEST_CASE("what the creator says is what a joiner reports", "[recorded]") {
  Peers p;
  World k(Other::creator);
  k.verdict = meeting::Verdict::refused;
  const auto done = p.execute_with(k);
  CHECK(done.error().code == Errno::etimedout);
  CHECK(static_cast<int>(done.error().step) == 0);
  CHECK(k.open_descriptors() == 0);
  TextBuffer<2048> message;
  write_message(message, "ch-run", done.error(), p.plan, {});
  CHECK(std::string(message.view()).find("cause: what the creator says\n") != std::string::npos);
}

TEST_CASE("a creator whose peers don't come gives up in time, and one that fails tells them",
          "[recorded]") {
  Peers p(4);
  World k(Other::nobody);
  const auto done = p.execute_with(k);
  CHECK(done.error().code == Errno::etimedout);
  CHECK(static_cast<std::size_t>(done.error().step) == p.index_of_admission());
  CHECK(std::string(done.error().why.view()) ==
        "within 30 s, 1 of 4 peers came: rank 0; missing: ranks 1-3");
  CHECK(k.open_descriptors() == 0);
}

TEST_CASE("a group of one is alone, and a plan says who waits for whom", "[pure]") {
  const Peers one(1);
  CHECK(std::holds_alternative<step::CreateNamespaces>(one.plan.steps[0]));
  for (const Step& step : one.plan.steps)
    CHECK_FALSE(std::holds_alternative<step::AdmitPeers>(step));

  const Peers four(4);
  std::string text;
  print_text(four.plan, [&](std::string_view line) { text += line; });
  CHECK(text.find(" 1  meet the 4 peers of group tag; ") == 0);
  CHECK(text.find("hand the namespaces to the other peers when all 4 are there") !=
        std::string::npos);
  std::string json;
  print_json(four.plan, [&](std::string_view piece) { json += piece; });
  CHECK(json.find(R"({"step": "meet-peers", "tag": "tag", "peers": 4, "timeout_ms": 30000})") !=
        std::string::npos);
  std::string shell;
  print_shell(four.plan, [&](std::string_view piece) { shell += piece; });
  CHECK(shell.find("nsenter") != std::string::npos);
}

TEST_CASE("a group that could never work is not planned", "[pure]") {
  ArenaOf<65536> arena;
  Container<ChosenNamespaces<presets::Unprivileged>, Mounts<ImageRoot<>>, SameIds, PeerGroup> box;
  box.namespaces.more = ns::pid::flag;
  box.join = {"tag", 2};
  box.mounts.get<ImageRoot<>>().image = HostPath("/image");
  const auto planned = box.plan({static_cast<Uid>(1000), static_cast<Gid>(1000), {6, 18}}, arena);
  REQUIRE_FALSE(planned);
  CHECK(planned.error().code == Errno::einval);
}

TEST_CASE("ranks are written as ranges", "[pure]") {
  TextBuffer<64> text;
  const bool there[] = {true, true, true, false, true, false, true, true};
  meeting::write_ranks(text, 8, [&](std::size_t i) { return there[i]; });
  CHECK(text.view() == "s 0-2, 4, 6-7");
  text.clear();
  meeting::write_ranks(text, 8, [&](std::size_t i) { return i == 4; });
  CHECK(text.view() == " 4");
}

TEST_CASE("a tag is 1 to 64 visible characters", "[pure]") {
  CHECK(is_tag("slurm-12.0"));
  CHECK(is_tag("prterun-host-1234@1"));
  CHECK(is_tag(std::string(64, 'x')));
  CHECK_FALSE(is_tag(std::string(65, 'x')));
  CHECK_FALSE(is_tag(""));
  CHECK_FALSE(is_tag("a b"));
  CHECK_FALSE(is_tag("a\nb"));
  CHECK_FALSE(is_tag("caf\xc3\xa9"));
}

TEST_CASE("fingerprints differ if anything differs", "[recorded]") {
  Recording<> k;
  const Peers p;
  Peers other;
  CHECK(fingerprint(k, p.plan.steps) == fingerprint(k, other.plan.steps));
  TextBuffer<96> text;
  write_differences(text, {1, 2, 3, 4}, {1, 2, 3, 4});
  CHECK(text.view().empty());
  write_differences(text, {1, 2, 3, 4}, {0, 2, 0, 4});
  CHECK(text.view() == "image, user or group ids");
}
