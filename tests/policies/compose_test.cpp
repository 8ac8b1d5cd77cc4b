// SPDX-License-Identifier: Apache-2.0
//
// Composition in any order.

#include "ch/compose.hpp"

#include <catch2/catch.hpp>

#include "ch/presets.hpp"

using namespace ch;

TEST_CASE("policies compose in any order to the same type", "[pure]") {
  using Expected = Container<NamespaceSet<ns::user, ns::mount>,
                             Mounts<ImageRoot<>, Devices, UserBinds>, AsRoot, Alone>;
  STATIC_REQUIRE(std::same_as<Compose<ImageRoot<>, Devices, UserBinds, AsRoot>, Expected>);
  STATIC_REQUIRE(std::same_as<Compose<UserBinds, AsRoot, Devices, ImageRoot<>>, Expected>);
  STATIC_REQUIRE(std::same_as<Compose<AsRoot, UserBinds, ImageRoot<>, Devices, Alone>, Expected>);
}

TEST_CASE("what is left out has its default", "[pure]") {
  STATIC_REQUIRE(std::same_as<Compose<>, Container<NamespaceSet<ns::user, ns::mount>>>);
  STATIC_REQUIRE(std::same_as<Compose<AttachToPid>, presets::Attached>);
  STATIC_REQUIRE(std::same_as<Compose<NamespaceSet<ns::user, ns::net>, AsRoot>,
                              Container<NamespaceSet<ns::user, ns::net>, HostMounts, AsRoot>>);
}

TEST_CASE("the layer comes after the image, and the user's binds last", "[pure]") {
  STATIC_REQUIRE(std::same_as<
                 Compose<UserBinds, Home, WritableLayer, Tmp<>, ImageRoot<>, ChosenIds>,
                 Container<NamespaceSet<ns::user, ns::mount>,
                           Mounts<ImageRoot<>, WritableLayer, Home, Tmp<>, UserBinds>, ChosenIds>>);
}
