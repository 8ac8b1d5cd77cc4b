// SPDX-License-Identifier: Apache-2.0
//
// Missing or null names are refused while planning. To the kernel an
// empty path means something else: the working directory, or the host's own root.

#include <catch2/catch.hpp>
#include <string>

#include "ch/launch.hpp"
#include "ch/presets.hpp"

using namespace ch;

namespace {

const HostFacts facts{static_cast<Uid>(1000), static_cast<Gid>(100), {6, 18}};
const char* const no_words[] = {"true", nullptr};
const Program program{"true", no_words, no_words + 1, "/bin"};

template <class Setting, class... More>
void set_image(Mounts<ImageRoot<Setting>, More...>& mounts, HostPath image) {
  mounts.template get<ImageRoot<Setting>>().image = image;
}

/// Why planning was refused; empty if it was not. `about` is the destination of the step at fault.
template <class C>
std::string refusal(const C& container, const Program& runs = program,
                    std::string_view about = {}) {
  ArenaOf<32768> arena;
  const auto plan = container.plan(facts, runs, arena);
  if (plan) return {};
  CHECK(plan.error().code == Errno::einval);
  CHECK(plan.error().path.view() == about);
  return plan.error().why.c_str();
}

}  // namespace

TEMPLATE_TEST_CASE("a preset without an image is refused, not given the host's root", "[pure]",
                   presets::HostIntegrated, presets::HostIntegratedChosen, presets::Bare) {
  const auto refused = [](HostPath image) {
    TestType box;
    set_image(box.mounts, image);
    return refusal(box);
  };
  const std::string sentence = "the image's path is empty: name a directory";
  CHECK(refusal(TestType{}) == sentence);
  CHECK(refused(HostPath("")) == sentence);
  CHECK(refused(HostPath(static_cast<const char*>(nullptr))) == sentence);
  CHECK(refused(HostPath("/i")).empty());
}

TEST_CASE("null is the empty text", "[pure]") {
  const char* const nothing = nullptr;
  CHECK(ZString(nothing).empty());
  CHECK(std::string(ZString(nothing).c_str()).empty());
  CHECK(ImagePath(nothing).empty());
}

TEST_CASE("binds, links and layers that name nothing are refused", "[pure]") {
  presets::HostIntegrated box;
  box.mounts.get<ImageRoot<>>().image = HostPath("/i");
  CHECK(refusal(box).empty());
  UserBind bind;
  UserLink link;
  SECTION("a bind without a source") {
    bind = {HostPath(""), ImagePath("/mnt")};
    box.mounts.get<UserBinds>().binds = {&bind, 1};
    CHECK(refusal(box, program, "/mnt") == "the source of a bind is empty: name a path");
  }
  SECTION("a bind without a destination") {
    bind = {HostPath("/tmp"), ImagePath("")};
    box.mounts.get<UserBinds>().binds = {&bind, 1};
    CHECK(refusal(box) == "a destination is an absolute path in the container");
  }
  SECTION("a link without a target") {
    link = {{}, ImagePath("/l")};
    box.mounts.get<Additions>().links = {&link, 1};
    CHECK(refusal(box, program, "/l") == "a link leads nowhere: name its target");
  }
  SECTION("a layer without its directory") {
    box.mounts.get<WritableLayer>().kind = OverlayKind::directory;
    CHECK(refusal(box) == "the layer's directory is empty: name a directory of the host");
  }
  SECTION("no program") {
    CHECK(refusal(box, {}) == "the program has no name: say what to run");
    CHECK(refusal(box, {"true", nullptr, no_words}) == "the program has no argv");
  }
}

TEST_CASE("a missing name is refused before a child is made", "[pure]") {
  kernel::Linux k;
  ArenaOf<std::size_t{256} * 1024> arena;
  const auto ended = run(k, presets::HostIntegrated{}, program, arena);
  REQUIRE_FALSE(ended);
  CHECK(ended.error().code == Errno::einval);
  CHECK(ended.error().operation == kernel::Call::none);
}

TEST_CASE("a layer over mounts, which it would hide, is refused", "[pure]") {
  const Step steps[] = {step::CreateNamespaces{NamespaceSet<ns::user, ns::mount>::flags()},
                        step::OpenImage{HostPath("/i")},
                        step::MakeScratch{},
                        step::Bind{HostPath("/a"), ImagePath("/b")},
                        step::Overlay{OverlayKind::scratch},
                        step::EnterRoot{}};
  const auto valid = validate(Plan{steps});
  REQUIRE_FALSE(valid);
  CHECK(valid.error().step == static_cast<StepIndex>(4));
  CHECK(std::string(valid.error().why.view()) ==
        "a layer hides earlier mounts: put it right after the image's root");
}

TEST_CASE("a host name without a uts namespace, which would be the host's, is refused", "[pure]") {
  presets::HostIntegratedChosen box;
  set_image(box.mounts, HostPath("/i"));
  box.hostname = "box";
  CHECK(refusal(box) == "a host name needs a new uts namespace: otherwise it would be the host's");
  box.namespaces.more = ns::uts::flag;
  CHECK(refusal(box).empty());
  // For real root nothing else would have prevented it.
  Container<NamespaceSet<ns::mount>, Mounts<ImageRoot<>>, KeepIds> of_root;
  set_image(of_root.mounts, HostPath("/i"));
  of_root.hostname = "box";
  CHECK_FALSE(refusal(of_root).empty());
}

TEST_CASE("the default ids are the caller's", "[pure]") {
  presets::HostIntegrated box;
  CHECK(box.ids.uid(facts) == facts.uid);
  CHECK(box.ids.gid(facts) == facts.gid);
  box.ids = {Uid::root, Gid::root};
  CHECK(box.ids.uid(facts) == Uid::root);
}

TEST_CASE("descriptors to keep may come in any order", "[pure]") {
  presets::HostIntegrated box;
  box.mounts.get<ImageRoot<>>().image = HostPath("/i");
  const int unsorted[] = {9, 4, 7, 4};
  Program runs = program;
  runs.keep_descriptors = unsorted;
  ArenaOf<32768> arena;
  const auto plan = box.plan(facts, runs, arena);
  REQUIRE(plan);
  for (const Step& s : plan->steps)
    if (const auto* closes = std::get_if<step::CloseDescriptors>(&s))
      CHECK(std::vector<int>(closes->keep.begin(), closes->keep.end()) ==
            std::vector<int>{4, 4, 7, 9});
  const int negative[] = {-1};
  runs.keep_descriptors = negative;
  CHECK(refusal(box, runs) == "descriptors to keep must be ascending: sort them");
}
