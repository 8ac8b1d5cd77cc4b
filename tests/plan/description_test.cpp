// SPDX-License-Identifier: Apache-2.0
//
// The description of each kind of step: every field is in ==, and in text, JSON and
// fingerprint unless it is meaningful in one process only.

#include "ch/plan/description.hpp"

#include <catch2/catch.hpp>
#include <deque>
#include <string>
#include <vector>

#include "ch/plan/fingerprint.hpp"
#include "ch/show/print_json.hpp"
#include "ch/show/print_text.hpp"

using namespace ch;

namespace {

/// A step with all fields set, and as many others, each of which differs in one field.
struct Kind {
  Step base;
  std::vector<Step> changed;
};

/// One of each kind, in the order of Step. Every text has its own address, so that
/// those of two catalogues are equal only in content.
class Catalogue {
 public:
  Catalogue() {
    const auto flags = [](std::uint64_t bits) { return static_cast<NamespaceFlags>(bits); };
    using namespace step;
    const CreateNamespaces create{flags(kernel::clone_newuser), Fd{5}};
    add(create, with(create, &CreateNamespaces::flags, flags(kernel::clone_newns)),
        with(create, &CreateNamespaces::enter, Fd{6}));
    const JoinNamespaces join{Pid{4}, flags(kernel::clone_newuser), Fd{5}};
    add(join, with(join, &JoinNamespaces::pid, Pid{6}),
        with(join, &JoinNamespaces::flags, flags(kernel::clone_newns)),
        with(join, &JoinNamespaces::held, Fd{7}), with(join, &JoinNamespaces::file, ZString("/n")));
    const MeetPeers meet{text("tag"), 4, 1, 30'000'000'000};
    const MeetPeers met[] = {with(meet, &MeetPeers::tag, text("gat")),
                             with(meet, &MeetPeers::expected, std::uint32_t{5}),
                             with(meet, &MeetPeers::timeout, std::uint64_t{31'000'000'000}),
                             with(meet, &MeetPeers::rank, 2)};
    add(meet, met[0], met[1], met[2], met[3]);
    add(AdmitPeers{meet}, AdmitPeers{met[0]}, AdmitPeers{met[1]}, AdmitPeers{met[2]},
        AdmitPeers{met[3]});
    add(DenySetgroups{});
    const MapUsers users{{Uid{1}, Uid{2}, 3}, text("4 5 6"), Fd{7}};
    add(users, with(users, &MapUsers::range, {Uid{4}, Uid{2}, 3}),
        with(users, &MapUsers::range, {Uid{1}, Uid{4}, 3}),
        with(users, &MapUsers::range, {Uid{1}, Uid{2}, 4}),
        with(users, &MapUsers::more, text("4 5 7")), with(users, &MapUsers::writer, Fd{8}));
    const MapGroups groups{{Gid{1}, Gid{2}, 3}, text("4 5 6"), Fd{7}};
    add(groups, with(groups, &MapGroups::range, {Gid{4}, Gid{2}, 3}),
        with(groups, &MapGroups::range, {Gid{1}, Gid{4}, 3}),
        with(groups, &MapGroups::range, {Gid{1}, Gid{2}, 4}),
        with(groups, &MapGroups::more, text("4 5 7")), with(groups, &MapGroups::writer, Fd{8}));
    add(MakePrivate{});
    const OpenImage image{HostPath(text("/image")), Access::read_only, Fd{3}};
    add(image, with(image, &OpenImage::image, HostPath(text("/another"))),
        with(image, &OpenImage::access, Access::read_write),
        with(image, &OpenImage::directory, Fd{4}),
        with(image, &OpenImage::by, FoundBy::descriptor));
    add(MakeScratch{text("64m")}, MakeScratch{text("65m")});
    const Overlay layer{OverlayKind::directory, HostPath(text("/layer"))};
    add(layer, with(layer, &Overlay::kind, OverlayKind::scratch),
        with(layer, &Overlay::directory, HostPath(text("/other"))));
    add(MakeScratchDirectory{ScratchPath(text("etc"))},
        MakeScratchDirectory{ScratchPath(text("cte"))});
    const WriteScratchFile file{ScratchPath(text("passwd")), view("root")};
    add(file, with(file, &WriteScratchFile::path, ScratchPath(text("group"))),
        with(file, &WriteScratchFile::content, view("toor!")));
    const MakeLink link{text("libx.so.1"), ImagePath(text("/lib/libx.so"))};
    add(link, with(link, &MakeLink::target, text("libx.so.2")),
        with(link, &MakeLink::destination, ImagePath(text("/lib/liby.so"))));
    const Bind bind{HostPath(text("/data")), ImagePath(text("/mnt")), Access::read_write,
                    IfMissing::skip};
    add(bind, with(bind, &Bind::source, HostPath(text("/atad"))),
        with(bind, &Bind::destination, ImagePath(text("/tnm"))),
        with(bind, &Bind::access, Access::read_only),
        with(bind, &Bind::if_missing, IfMissing::fail));
    const BindScratch generated{ScratchPath(text("passwd")), ImagePath(text("/etc/passwd")),
                                Access::read_write, IfMissing::skip};
    add(generated, with(generated, &BindScratch::source, ScratchPath(text("group"))),
        with(generated, &BindScratch::destination, ImagePath(text("/etc/group"))),
        with(generated, &BindScratch::access, Access::read_only),
        with(generated, &BindScratch::if_missing, IfMissing::fail));
    const MountFilesystem mounts{text("proc"), ImagePath(text("/proc"))};
    add(mounts, with(mounts, &MountFilesystem::type, text("sysfs")),
        with(mounts, &MountFilesystem::destination, ImagePath(text("/sys"))));
    add(EnterRoot{});
    add(SetHostname{text("box")}, SetHostname{text("xob")});
    const ChangeDirectory goes{ImagePath(text("/work")), IfMissing::fail};
    add(goes, with(goes, &ChangeDirectory::path, ImagePath(text("/krow"))),
        with(goes, &ChangeDirectory::if_missing, IfMissing::skip));
    add(ForbidNewPrivileges{});
    add(InstallFilter{{program, 1}}, InstallFilter{{program, 2}});
    add(Redirect{Fd{5}, Fd{1}}, Redirect{Fd{6}, Fd{1}}, Redirect{Fd{5}, Fd{2}});
    add(CloseDescriptors{{numbers, 1}}, CloseDescriptors{{numbers, 2}});
    const Execute runs{text("tool"), words({"tool", "-x"}), words({"A=1"}), text("/bin")};
    add(runs, with(runs, &Execute::name, text("loot")),
        with(runs, &Execute::argv, words({"tool", "-y"})),
        with(runs, &Execute::envp, words({"A=1", "B=2"})),
        with(runs, &Execute::search_path, text("/nib")));
  }
  std::vector<Kind> kinds;

 private:
  template <class S, class T>
  static S with(S step, T S::*member, std::type_identity_t<T> value) {
    step.*member = value;
    return step;
  }
  void add(const Step& base, const auto&... changed) { kinds.push_back({base, {changed...}}); }
  ZString text(const char* what) { return kept.emplace_back(what).c_str(); }
  std::string_view view(const char* what) { return kept.emplace_back(what); }
  const char* const* words(std::initializer_list<const char*> all) {
    auto& list = lists.emplace_back();
    for (const char* word : all) list.push_back(text(word).c_str());
    list.push_back(nullptr);
    return list.data();
  }

  std::deque<std::string> kept;
  std::deque<std::vector<const char*>> lists;
  int numbers[2] = {3, 4};
  kernel::BpfInstruction program[2] = {{kernel::bpf_ret_k, 0, 0, 1}, {kernel::bpf_ret_k, 0, 0, 2}};
};

std::string as_text(const Step& step) {
  TextBuffer<1024> text;
  write_step(text, step);
  return std::string(text.view());
}
std::string as_json(const Step& step) {
  std::string text;
  print_json(Plan{{&step, 1}}, [&](std::string_view piece) { text += piece; });
  return text;
}
std::uint64_t mixed(const Step& step) {
  std::uint64_t hash = 1;
  detail::mix(hash, step);
  return hash;
}

}  // namespace

TEST_CASE("a field with different content makes steps differ, one with equal content does not",
          "[pure]") {
  const Catalogue all;
  const Catalogue again;
  REQUIRE(all.kinds.size() == std::variant_size_v<Step>);
  for (std::size_t kind = 0; kind < all.kinds.size(); ++kind) {
    const auto& [base, changed] = all.kinds[kind];
    INFO(describe(base).name);
    REQUIRE(base.index() == kind);
    CHECK(base == again.kinds[kind].base);
    CHECK(mixed(base) == mixed(again.kinds[kind].base));
    const Description description = describe(base);
    REQUIRE(description.size == changed.size());
    for (std::size_t field = 0; field < changed.size(); ++field) {
      INFO(description.fields[field].name);
      CHECK_FALSE(base == changed[field]);
      const bool shown = description.fields[field].audience == Audience::everyone;
      CHECK((as_json(base) != as_json(changed[field])) == shown);
      CHECK((mixed(base) != mixed(changed[field])) == shown);
    }
    CHECK_FALSE(base == all.kinds[(kind + 1) % all.kinds.size()].base);
  }
}

TEST_CASE("plans with equal content are equal, and differ by any field of any step", "[pure]") {
  const Catalogue all;
  const Catalogue again;
  std::vector<Step> steps;
  std::vector<Step> same;
  for (const Kind& kind : all.kinds) steps.push_back(kind.base);
  for (const Kind& kind : again.kinds) same.push_back(kind.base);
  const Plan plan{steps};
  CHECK(plan == Plan{same});
  CHECK(plan != Plan{steps, Assembly::classic});
  CHECK(plan != Plan{plan.steps.first(plan.steps.size() - 1)});
  for (std::size_t kind = 0; kind < all.kinds.size(); ++kind)
    for (const Step& other : all.kinds[kind].changed) {
      same[kind] = other;
      CHECK(plan != Plan{same});
      same[kind] = again.kinds[kind].base;
    }
}

TEST_CASE("a sentence names only existing fields, and leaves no brace", "[pure]") {
  const Catalogue all;
  const auto check = [](const Step& step) {
    const Description description = describe(step);
    INFO(description.sentence);
    const std::string sentence = description.sentence;
    for (auto at = sentence.find('{'); at != sentence.npos; at = sentence.find('{', at + 1)) {
      const std::string name = sentence.substr(at + 1, sentence.find('}', at) - at - 1);
      bool known = false;
      for (const Field& field : description) known = known || field.name == name;
      CHECK(known);
    }
    CHECK(as_text(step).find_first_of("{}") == std::string::npos);
  };
  for (const Kind& kind : all.kinds) {
    check(kind.base);
    for (const Step& changed : kind.changed) check(changed);
  }
}

TEST_CASE("the fingerprint depends on a file's content, not only on its length", "[pure]") {
  const Step one = step::WriteScratchFile{ScratchPath("passwd"), "alice"};
  const Step other = step::WriteScratchFile{ScratchPath("passwd"), "carol"};
  CHECK(as_text(one) == as_text(other));
  CHECK(mixed(one) != mixed(other));
}
