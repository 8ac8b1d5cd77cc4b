// SPDX-License-Identifier: Apache-2.0
//
// The vocabulary: text, numbers, arena, sequence, settings, results.

#include <catch2/catch.hpp>
#include <string>

#include "ch/types/arena.hpp"
#include "ch/types/errno_text.hpp"
#include "ch/types/ids.hpp"
#include "ch/types/paths.hpp"
#include "ch/types/result.hpp"
#include "ch/types/setting.hpp"

using namespace ch;

TEST_CASE("a text that does not fit is truncated and reports it", "[pure]") {
  TextBuffer<8> text;
  text << "abc" << 1234 << 'x';
  CHECK(text.view() == "abc1234");
  CHECK(text.truncated());
}

TEST_CASE("numbers are written in full", "[pure]") {
  TextBuffer<64> text;
  text << ~std::uint64_t{0} << ' ' << std::int64_t{-9223372036854775807 - 1} << ' ' << 0U;
  CHECK(text.view() == "18446744073709551615 -9223372036854775808 0");
  TextBuffer<8> octal;
  octal.octal(0755);
  CHECK(octal.view() == "755");
}

TEST_CASE("only decimal numbers within the limit are numbers", "[pure]") {
  std::uint64_t n = 7;
  CHECK(parse_number("0", 10, n));
  CHECK(n == 0);
  CHECK(parse_number("4294967295", invalid_id, n));
  CHECK(n == 4294967295U);
  for (const char* bad :
       {"", "-1", "+1", " 1", "1 ", "0x1", "4294967296", "99999999999999999999"}) {
    INFO(bad);
    CHECK_FALSE(parse_number(bad, invalid_id, n));
  }
}

TEST_CASE("an arena hands out aligned pieces until it is full", "[pure]") {
  ArenaOf<64> arena;
  CHECK(arena.join("ab", "c") == std::string("abc"));
  auto* numbers = arena.make<std::uint64_t>(4);
  REQUIRE(numbers != nullptr);
  CHECK(reinterpret_cast<std::uintptr_t>(numbers) % alignof(std::uint64_t) == 0);
  CHECK(numbers[3] == 0);
  const std::size_t used = arena.used();
  CHECK(arena.make<std::uint64_t>(4) == nullptr);
  CHECK(arena.make<std::uint64_t>(~std::size_t{0} / 4) == nullptr);
  CHECK(arena.used() == used);
}

TEST_CASE("a full arena continues in a second buffer, if there is one", "[pure]") {
  alignas(std::max_align_t) std::byte first[32];
  Arena arena(first, [](std::size_t size) noexcept -> std::span<std::byte> {
    alignas(std::max_align_t) static std::byte further[256];
    if (size > sizeof further) return {};
    return further;
  });
  const ZString early = arena.join("ab", "c");
  auto* numbers = arena.make<std::uint64_t>(8);
  REQUIRE(numbers != nullptr);
  numbers[7] = 1;
  CHECK(early.view() == "abc");
  CHECK(arena.make<std::uint64_t>(64) == nullptr);
  CHECK(arena.make<std::uint64_t>(4) != nullptr);  // a request that fails spoils nothing
}

TEST_CASE("a sequence refuses elements that do not fit", "[pure]") {
  ArenaOf<64> arena;
  Sequence<int> two(arena.make<int>(2), 2);
  CHECK(two.push_back(1));
  CHECK(two.push_back(2));
  CHECK_FALSE(two.push_back(3));
  CHECK(two.size() == 2);
  Sequence<int> none(nullptr, 5);
  CHECK_FALSE(none.push_back(1));
}

TEST_CASE("a fixed setting costs nothing and reads like a chosen one", "[pure]") {
  struct Both {
    [[no_unique_address]] Fixed<Access::read_only> fixed;
    Chosen<Access> chosen;
  };
  STATIC_REQUIRE(sizeof(Both) == sizeof(Access));
  STATIC_REQUIRE(SettingOf<Fixed<Access::read_only>, Access>);
  STATIC_REQUIRE(SettingOf<Chosen<Access>, Access>);
  STATIC_REQUIRE_FALSE(SettingOf<Chosen<Access>, const char*>);
  const Both both{{}, Access::read_write};
  CHECK(both.fixed.value() == Access::read_only);
  CHECK(both.chosen.value() == Access::read_write);
}

TEST_CASE("the kernel's return value becomes a result with its origin", "[pure]") {
  const kernel::Returned<Fd> bad{-2, kernel::Call::openat};
  const Result<Fd> result = as_result(bad, "/x");
  REQUIRE_FALSE(result);
  CHECK(result.error() == Error{Errno::enoent, kernel::Call::openat, StepIndex::none, "/x"});
  CHECK(as_result(kernel::Returned<Fd>{5, kernel::Call::openat}).value() == static_cast<Fd>(5));
}

TEST_CASE("error numbers read as words", "[pure]") {
  TextBuffer<64> text;
  text << Errno::enospc << "; " << static_cast<Errno>(4095);
  CHECK(text.view() == "No space left on device (ENOSPC); error 4095");
}

TEST_CASE("a missing C string piece is an empty text", "[pure]") {
  CHECK(ZString().view().empty());
  CHECK(ZString("a/b").size() == 3);
  CHECK(HostPath("/a") == HostPath("/a"));
}

TEST_CASE("an arena releases what came after a mark", "[pure]") {
  static std::byte further[256];
  std::byte own[64];
  Arena arena(own, [](std::size_t) noexcept -> std::span<std::byte> { return further; });
  REQUIRE(arena.join("kept") != nullptr);
  const auto mark = arena.mark();
  const std::size_t used = arena.used();
  REQUIRE(arena.join("given back") != nullptr);
  CHECK(arena.used() > used);
  arena.rewind(mark);
  CHECK(arena.used() == used);
  REQUIRE(arena.allocate(200, 1) != nullptr);  // from the further buffer
  CHECK(arena.capacity() == sizeof further);
  arena.rewind(mark);
  CHECK(arena.capacity() == sizeof own);
  CHECK(arena.used() == used);
}
