// SPDX-License-Identifier: Apache-2.0
//
// Test support: REQUIRE and FAIL for support code that is used both by Catch tests and by other
// programs (tests/faults). In the latter, a failed REQUIRE throws an exception.
#pragma once

#ifdef CHARLIE_WITHOUT_CATCH
#include <stdexcept>
#include <string>
#define REQUIRE(...) \
  ((__VA_ARGS__) ? void() : throw std::runtime_error("this must hold: " #__VA_ARGS__))
#define CHECK(...) REQUIRE(__VA_ARGS__)
#define FAIL(why) throw std::runtime_error(why)
#define REQUIRE_FALSE(...) REQUIRE(!(__VA_ARGS__))
#define WARN(why) void()
#else
#include <catch2/catch.hpp>
#endif
