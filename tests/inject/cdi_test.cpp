// SPDX-License-Identifier: Apache-2.0
//
// Container Device Interface files: read, checked, found by precedence, and resolved.

#include "ch/devices/cdi.hpp"

#include <catch2/catch.hpp>

#include "tests/inject/cdi_specs.hpp"
#include "tests/support/files.hpp"

using namespace ch::cdi;
using test::TempDir;
using test::write_file;

namespace {

/// What the error of `attempt` says; "" if there is none. Anything but a ch::io::Failed escapes.
template <class Attempt>
std::string error_of(Attempt attempt) {
  try {
    attempt();
    return {};
  } catch (const ch::io::Failed& e) {
    return std::string(e.path()) + ": " + e.cause() + " | " + e.remedy();
  }
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A file with one device "a/b=c" whose containerEdits are `edits`.
std::string with_edits(const std::string& edits) {
  return R"({"cdiVersion": "0.6.0", "kind": "a.com/b", "devices": [{"name": "c",
    "containerEdits": )" +
         edits + "}]}";
}

Resolution resolve_one(const std::string& directory, const std::string& request) {
  return resolve(Registry({directory}), {*parse_request(request)});
}

}  // namespace

// ---- reading --------------------------------------------------------------------------

TEST_CASE("a file from nvidia-ctk is read completely", "[pure]") {
  const Spec spec = spec_from_json_text(test::nvidia_json("/made"));
  CHECK(spec.kind == "nvidia.com/gpu");
  REQUIRE(spec.devices.size() == 3);
  CHECK(spec.devices[0].name == "0");
  REQUIRE(spec.devices[0].edits.nodes.size() == 1);
  const DeviceNode& node = spec.devices[0].edits.nodes[0];
  CHECK(node.path == "/dev/null");
  CHECK(node.host_path == "/dev/null");
  CHECK(node.type == 'c');
  CHECK(node.major == 1);
  CHECK(node.minor == 3);
  CHECK(spec.edits.environment[0] == "NVIDIA_VISIBLE_DEVICES=void");
  REQUIRE(spec.edits.hooks.size() == 3);
  CHECK(spec.edits.hooks[2].arguments[2] == "update-ldcache");
  REQUIRE(spec.edits.mounts.size() == 3);
  CHECK(spec.edits.mounts[0].host_path == "/made/made-smi");
  CHECK(spec.edits.mounts[0].read_only);
  CHECK(spec.edits.unknown.empty());
}

TEST_CASE("YAML says the same as JSON", "[pure]") {
  const Spec spec = spec_from_yaml_text(test::nvidia_yaml("/made"));
  CHECK(spec.kind == "nvidia.com/gpu");
  REQUIRE(spec.devices.size() == 2);
  CHECK(spec.devices[0].name == "0");
  CHECK(spec.devices[0].edits.nodes[0].minor == 3);
  CHECK(spec.edits.mounts[0].host_path == "/made/libmade.so.550.54.14");
  CHECK(spec.edits.mounts[0].read_only);
  CHECK(spec.edits.hooks[0].path == "/usr/bin/nvidia-cdi-hook");
  CHECK(spec_from_yaml_text(test::intel_yaml()).devices[0].name == "0000:03:00.0-0x56a0");
}

TEST_CASE("names are what the specification allows", "[pure]") {
  for (const char* kind : {"nvidia.com/gpu", "a/b", "vendor-1.com/class_2", "Intel.com/GPU"})
    CHECK(is_kind(kind));
  for (const char* kind :
       {"", "/", "a", "a/", "/b", "1a/b", "a/1b", "a./b", "a/b/c", "a b/c", "../b", "a/b-", "-a/b"})
    CHECK_FALSE(is_kind(kind));
  for (const char* name : {"0", "all", "GPU-4cf8", "0:1", "a.b_c"}) CHECK(is_device_name(name));
  for (const char* name : {"", "-0", "0-", "a b", "a/b", "a=b", ":"})
    CHECK_FALSE(is_device_name(name));
  CHECK(parse_request("nvidia.com/gpu=0")->text() == "nvidia.com/gpu=0");
  CHECK(parse_request("nvidia.com/gpu")->text() == "nvidia.com/gpu=all");
  CHECK_FALSE(parse_request("nvidia.com/gpu="));
  CHECK_FALSE(parse_request("gpu=0"));
}

TEST_CASE("the first field that is wrong is named, with its place", "[pure]") {
  const std::string head = R"({"cdiVersion": "0.6.0", "kind": "a.com/b", "devices": [)";
  const std::pair<std::string, const char*> cases[] = {
      {"", "not JSON, from byte 1"},
      {"[]", "the file: expected an object, but this is an array"},
      {"{}", "the file: there is no \"cdiVersion\""},
      {R"({"cdiVersion": 0.6})", "cdiVersion: expected a string, but this is a number"},
      {R"({"cdiVersion": "2.0.0"})", "cdiVersion: version \"2.0.0\" is not supported"},
      {R"({"cdiVersion": "0.6.0"})", "no \"kind\""},
      {R"({"cdiVersion": "0.6.0", "kind": "x"})", "kind: expected VENDOR/CLASS"},
      {R"({"cdiVersion": "0.6.0", "kind": "a/b"})", "no \"devices\""},
      {head + "7]}", "devices[0]: expected an object, but this is a number"},
      {head + R"({"name": 0}]})",
       "devices[0].name: expected a string, but this is a number (write"},
      {head + R"({"name": "a/b"}]})", "devices[0].name: a name consists of letters"},
      {head + R"({"name": "a"}, {"name": "a"}]})", "devices[1].name: there is already a device"},
      {head + R"({"name": "a", "containerEdits": []}]})",
       "devices[0].containerEdits: expected an object"},
      {with_edits(R"({"env": "A=b"})"), "containerEdits.env: expected a list"},
      {with_edits(R"({"env": ["A"]})"), "containerEdits.env[0]: expected NAME=VALUE"},
      {with_edits(R"({"env": ["=b"]})"), "expected NAME=VALUE"},
      {with_edits("{\"env\": [\"A=\\u0000\"]}"), "it contains a NUL byte"},
      {with_edits(R"({"deviceNodes": [{}]})"), "deviceNodes[0]: there is no \"path\""},
      {with_edits(R"({"deviceNodes": [{"path": "dev/x"}]})"), "a path that begins with /"},
      {with_edits(R"({"deviceNodes": [{"path": "//"}]})"), "can't mount anything on the root"},
      {with_edits(R"({"deviceNodes": [{"path": "/dev/../etc/x"}]})"), "contains \"..\""},
      {with_edits(R"({"deviceNodes": [{"path": "/dev/x", "type": "z"}]})"), "is b, c, u or p"},
      {with_edits(R"({"deviceNodes": [{"path": "/dev/x", "major": "1"}]})"), "a whole number"},
      {with_edits(R"({"deviceNodes": [{"path": "/dev/x", "major": 1.5}]})"), "a whole number"},
      {with_edits(R"({"deviceNodes": [{"path": "/dev/x", "major": -1}]})"), "out of range"},
      {with_edits(R"({"deviceNodes": [{"path": "/dev/x", "major": 18446744073709551615}]})"),
       "out of range"},
      {with_edits(R"({"deviceNodes": [{"path": "/dev/x", "major": 1e999}]})"), "JSON"},
      {with_edits(R"({"mounts": [{"hostPath": "/x"}]})"), "no \"containerPath\""},
      {with_edits(R"({"mounts": [{"hostPath": "/x", "containerPath": "/a/.."}]})"),
       "contains \"..\""},
      {with_edits(R"({"mounts": [{"hostPath": "/x", "containerPath": "//"}]})"), "on the root"},
      {with_edits(R"({"mounts": [{"hostPath": "/x", "containerPath": "/a\nbind=/:/b"}]})"),
       "line break"},
      {with_edits(R"({"mounts": [{"hostPath": "/x", "containerPath": "/a", "options": [1]}]})"),
       "mounts[0].options[0]: expected a string"},
      {with_edits(R"({"hooks": [{"path": "/x"}]})"), "hooks[0]: there is no \"hookName\""},
      {with_edits(R"({"hooks": [{"hookName": "x", "path": "/x", "args": {}}]})"), "a list"},
      {with_edits(R"({"additionalGids": [-1]})"), "out of range"},
      {with_edits(R"({"mounts": [{"hostPath": "/)" + std::string(5000, 'x') +
                  R"(", "containerPath": "/a"}]})"),
       "longer than 4095 bytes"}};
  for (const auto& [text, expected] : cases) {
    INFO(text.substr(0, 200));
    const std::string said = error_of([&text = text] { (void)spec_from_json_text(text); });
    CHECK_THAT(said, Catch::Contains(expected));
  }
}

TEST_CASE("a damaged file is an error and nothing else, wherever the damage is", "[pure]") {
  const std::string json = test::nvidia_json("/made");
  const std::string yaml = test::nvidia_yaml("/made");
  int refused = 0;
  const auto try_both = [&](const std::string& text, bool is_json) {
    const std::string said =
        error_of([&] { (void)(is_json ? spec_from_json_text(text) : spec_from_yaml_text(text)); });
    refused += said.empty() ? 0 : 1;
    CHECK(said.find('\n') == std::string::npos);
  };
  for (const bool is_json : {true, false}) {
    const std::string& whole = is_json ? json : yaml;
    for (std::size_t at = 0; at < whole.size(); ++at) {
      try_both(whole.substr(0, at), is_json);
      for (const char c : {'"', '{', ']', '\0', '\x80', '-', ':', '&', '*', '\n'}) {
        std::string changed = whole;
        changed[at] = c;
        try_both(changed, is_json);
      }
    }
  }
  CHECK(refused > 10000);
}

TEST_CASE("documents that are deep, huge or expand when read are refused", "[pure]") {
  CHECK(has(error_of([] { (void)spec_from_json_text(std::string(1000000, '[')); }), "not JSON"));
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  CHECK_FALSE(error_of([&] { (void)spec_from_json_text(deep); }).empty());
  CHECK_FALSE(error_of([&] { (void)spec_from_yaml_text(deep); }).empty());
  CHECK_FALSE(error_of([&] { (void)spec_from_yaml_text(std::string(100000, '{')); }).empty());
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 1; j < 10; ++j) bomb += "," + before;
    bomb += "]\n";
  }
  CHECK(has(error_of([&] { (void)spec_from_yaml_text(bomb); }), "too many values"));
  CHECK_FALSE(error_of([] { (void)spec_from_yaml_text("&a [*a]"); }).empty());
}

TEST_CASE("a file of as many devices and mounts as its size allows is read, and each is compared",
          "[pure]") {
  std::string text = R"({"cdiVersion": "0.6.0", "kind": "a.com/b", "devices": [)";
  int count = 0;
  while (text.size() < max_spec_size - 100)
    text += "{\"name\":\"" + std::to_string(100000 + count++) + "\"},";
  CHECK(spec_from_json_text(text + R"({"name": "x"}]})").devices.size() ==
        static_cast<std::size_t>(count) + 1);
  CHECK(has(error_of([&] { (void)spec_from_json_text(text + R"({"name": "100000"}]})"); }),
            "there is already a device of this name"));

  Spec spec{"/x.json", "a.com/b", {{"c", {}}}, {}};
  for (int i = 0; i < 60000; ++i)
    spec.devices[0].edits.mounts.push_back({"/etc", "/m/" + std::to_string(i), "", false});
  spec.devices[0].edits.mounts.push_back({"/usr", "/m/0", "", false});
  ch::cdi::detail::Resolver resolver;
  resolver.add({&spec, &spec.devices[0], {}});
  const auto binds = resolver.take().binds;
  CHECK(binds.size() == 60000);
  CHECK(binds.front().container_path == "/m/1");
  CHECK(binds.back().host_path == "/usr");  // of two at one place, the last
}

TEST_CASE("hooks are recognised by their purpose", "[pure]") {
  HookWork work;
  add_hook({"createContainer",
            "/usr/bin/nvidia-cdi-hook",
            {"nvidia-cdi-hook", "create-symlinks", "--link", "a::/b", "--link=c::/d/e"}},
           work);
  CHECK(work.links == std::vector<Link>{{"a", "/b"}, {"c", "/d/e"}});
  add_hook({"createContainer",
            "/x",
            {"nvidia-ctk", "hook", "update-ldcache", "--folder", "/lib", "--ldconfig-path",
             "@/sbin/ldconfig"}},
           work);
  CHECK(work.update_cache);
  CHECK(work.folders == std::vector<std::string>{"/lib"});
  add_hook({"createContainer", "/x", {"x", "chmod", "--mode", "755", "--path", "/dev/dri"}}, work);
  CHECK(work.unknown.empty());
  add_hook({"createRuntime", "/opt/x\n", {"x", "--do", "it"}}, work);
  add_hook({"createContainer", "/x", {"x", "create-symlinks", "--csv-filename", "f"}}, work);
  REQUIRE(work.unknown.size() == 2);
  CHECK(work.unknown[0] == "createRuntime /opt/x\\012 --do it");
  for (const char* link : {"a", "a::", "::/b", "a::b", "a::/../b", "a::/b/..", "a::/b/", "a::/b ",
                           "a::/b\nc", "a\nb::/c"}) {
    INFO(link);
    CHECK_THROWS_AS(
        add_hook({"createContainer", "/x", {"x", "create-symlinks", "--link", link}}, work),
        ch::io::Failed);
  }
  CHECK_THROWS_AS(
      add_hook({"createContainer", "/x", {"x", "update-ldcache", "--folder", "a"}}, work),
      ch::io::Failed);
}

// ---- finding --------------------------------------------------------------------------

TEST_CASE("a later directory has precedence, device by device", "[tool]") {
  const TempDir dir;
  const auto spec = [](const std::string& names, const std::string& value) {
    std::string devices;
    for (const char name : names)
      devices += std::string(devices.empty() ? "" : ", ") + R"({"name": ")" + name +
                 R"(", "containerEdits": {"env": ["FROM=)" + value + R"("]}})";
    return R"({"cdiVersion": "0.6.0", "kind": "a.com/b", "devices": [)" + devices + "]}";
  };
  test::fs::create_directory(dir / "etc");
  test::fs::create_directory(dir / "run");
  write_file(dir / "etc/one.json", spec("01", "etc"));
  write_file(dir / "run/two.json", spec("12", "run"));
  write_file(dir / "run/three.yaml", spec("3", "yaml"));
  write_file(dir / "run/no.yml", spec("4", "yml"));
  const Registry registry({dir / "etc", dir / "run", dir / "missing"});
  const auto from = [&](const char* request) {
    return resolve(registry, {*parse_request(request)}).environment;
  };
  using Strings = std::vector<std::string>;
  CHECK(from("a.com/b=0") == Strings{"FROM=etc"});
  CHECK(from("a.com/b=1") == Strings{"FROM=run"});
  CHECK(from("a.com/b=2") == Strings{"FROM=run"});
  CHECK(from("a.com/b=3") == Strings{"FROM=yaml"});  // JSON is YAML
  CHECK(from("a.com/b") == Strings{"FROM=etc", "FROM=run", "FROM=run", "FROM=yaml"});
  CHECK(registry.devices().size() == 4);
  CHECK(has(error_of([&] { (void)from("a.com/b=4"); }), "there is a.com/b=0, a.com/b=1"));

  const Registry reversed({dir / "run", dir / "etc"});
  CHECK(resolve(reversed, {*parse_request("a.com/b=1")}).environment == Strings{"FROM=etc"});
}

TEST_CASE("two files in one directory with the same device make only that device unusable",
          "[tool]") {
  const TempDir dir;
  test::fs::create_directory(dir / "etc");
  test::fs::create_directory(dir / "run");
  write_file(dir / "etc/a.json", test::amd_json());
  write_file(dir / "etc/b.json", R"({"cdiVersion": "0.6.0", "kind": "amd.com/gpu",
    "devices": [{"name": "1"}, {"name": "2"}]})");
  const Registry registry({dir / "etc", dir / "run"});
  const auto find = [&](const Registry& r, const char* request) {
    return error_of([&] { (void)resolve(r, {*parse_request(request)}); });
  };
  CHECK(find(registry, "amd.com/gpu=0").empty());
  CHECK(find(registry, "amd.com/gpu=2").empty());
  const std::string said = find(registry, "amd.com/gpu=1");
  CHECK(has(said, "amd.com/gpu=1: two files of one directory describe this device"));
  CHECK(has(said, "/etc/a.json and "));
  CHECK(has(find(registry, "amd.com/gpu=all"), "two files"));

  // A file of higher precedence settles it.
  write_file(dir / "run/c.json", R"({"cdiVersion": "0.6.0", "kind": "amd.com/gpu",
    "devices": [{"name": "1"}]})");
  const Registry settled({dir / "etc", dir / "run"});
  CHECK(find(settled, "amd.com/gpu=1").empty());
}

TEST_CASE("a file that can't be read is reported with the missing device", "[tool]") {
  const TempDir dir;
  CHECK(has(error_of([&] { (void)resolve_one(dir.path(), "a/b=c"); }), "no such device"));
  write_file(dir / "bad.json", "{");
  write_file(dir / "big.json", std::string(max_spec_size + 100, ' '));
  test::fs::create_directory(dir / "directory.json");
  REQUIRE(mkfifo((dir / "fifo.json").c_str(), 0600) == 0);
  test::fs::create_symlink("nowhere", dir / "link.yaml");
  write_file(dir / "good.json", test::amd_json());
  const std::string said = error_of([&] { (void)resolve_one(dir.path(), "a.com/b=c"); });
  CHECK(has(said, "/bad.json: this is not JSON, from byte 2 on"));
  CHECK(has(said, "/big.json: this is longer than 4194304 bytes"));
  CHECK(has(said, "/directory.json: "));
  CHECK(has(said, "/fifo.json: this is not a regular file"));
  CHECK(has(said, "/link.yaml: can't open it (No such file"));
  CHECK(has(said, "there is amd.com/gpu=0"));
  CHECK(error_of([&] { (void)resolve_one(dir.path(), "amd.com/gpu=0"); }).empty());
}

// ---- resolving ------------------------------------------------------------------------

TEST_CASE("a file's own edits come once, before those of its devices", "[tool]") {
  const TempDir dir;
  write_file(dir / "x.json", R"({"cdiVersion": "0.6.0", "kind": "a.com/b",
    "containerEdits": {"env": ["A=all"]}, "devices": [
    {"name": "0", "containerEdits": {"env": ["B=0"]}},
    {"name": "1", "containerEdits": {"env": ["B=1"]}}]})");
  const Registry registry({dir.path()});
  const Resolution r = resolve(registry, {*parse_request("a.com/b=1"), *parse_request("a.com/b=0"),
                                          *parse_request("a.com/b=1")});
  CHECK(r.environment == std::vector<std::string>{"A=all", "B=1", "B=0"});
  CHECK(r.devices == std::vector<std::string>{"a.com/b=1", "a.com/b=0"});
}

TEST_CASE("what is in the container anyway is not bound, and must exist", "[tool]") {
  const TempDir dir;
  const auto resolved = [&](const std::string& edits) {
    write_file(dir / "x.json", with_edits(edits));
    return resolve_one(dir.path(), "a.com/b=c");
  };
  CHECK(resolved(R"({"deviceNodes": [{"path": "/dev/null"}],
    "mounts": [{"hostPath": "/sys/class", "containerPath": "/sys/class"}]})")
            .binds.empty());
  const auto bound = resolved(R"({"deviceNodes": [{"path": "/dev/zero", "hostPath": "/dev/null"},
    {"path": "/made/null", "hostPath": "/dev/null"}],
    "mounts": [{"hostPath": "/etc", "containerPath": "/made/etc", "options": ["rbind", "ro"]},
    {"hostPath": "/usr", "containerPath": "/made/etc", "options": ["rw"]}]})")
                         .binds;
  REQUIRE(bound.size() == 3);
  CHECK(bound[0].container_path == "/dev/zero");
  CHECK(bound[1].container_path == "/made/null");
  CHECK_FALSE(bound[1].read_only);
  CHECK(bound[2].host_path == "/usr");  // the last of two at one place

  const auto said = [&](const std::string& edits) {
    return error_of([&] { (void)resolved(edits); });
  };
  CHECK(has(said(R"({"deviceNodes": [{"path": "/dev/made9"}]})"),
            "/dev/made9: this host has no such device (No such file or directory), though "));
  CHECK(has(said(R"({"deviceNodes": [{"path": "/dev/made9", "hostPath": "/dev/null"}]})"),
            "/dev/made9: the container shows the host's /dev, which lacks this name"));
  CHECK(has(said(R"({"mounts": [{"hostPath": "/made/x", "containerPath": "/x"}]})"),
            "/made/x: this host has no such file"));
}

TEST_CASE("what can't be done causes a warning, once", "[tool]") {
  const TempDir dir;
  write_file(dir / "x.json", with_edits(R"({"additionalGids": [4000000000], "netDevices": [],
    "env": ["A=1\n2", "B=ok"], "deviceNodes": [{"path": "/dev/null", "major": 99}],
    "mounts": [{"hostPath": "tmpfs", "containerPath": "/x", "type": "tmpfs"}]})"));
  // hostPath must be a path, also of a tmpfs
  CHECK(has(error_of([&] { (void)resolve_one(dir.path(), "a.com/b=c"); }), "begins with /"));
  write_file(dir / "x.json", with_edits(R"({"additionalGids": [4000000000], "netDevices": [],
    "env": ["A=1\n2", "B=ok"], "deviceNodes": [{"path": "/dev/null", "major": 99}],
    "mounts": [{"hostPath": "/none", "containerPath": "/x", "type": "tmpfs"}],
    "hooks": [{"hookName": "poststop", "path": "/x"}, {"hookName": "poststop", "path": "/x"}]})"));
  const Resolution r = resolve_one(dir.path(), "a.com/b=c");
  CHECK(r.binds.empty());
  CHECK(r.environment == std::vector<std::string>{"B=ok"});
  std::string all;
  for (const std::string& warning : r.warnings) all += warning + "\n";
  INFO(all);
  CHECK(r.warnings.size() == 6);
  CHECK(has(all, "the device asks for group 4000000000"));
  CHECK(has(all, "containerEdits.netDevices of "));
  CHECK(has(all, "the variable A of "));
  CHECK(has(all, "/dev/null has other device numbers than "));
  CHECK(has(all, "the tmpfs file system on /x"));
  CHECK(has(all, "an unknown hook is not run: poststop /x"));
}

TEST_CASE("a device file says each thing as ch-run reads it", "[pure]") {
  Resolution r;
  r.devices = {"a.com/b=c"};
  r.binds = {{"/x:y", "/a\\b", "", true}, {"/d", "/e", "", false}};
  r.hooks.links = {{"t:u", "/l"}, {"t", "/m"}};
  r.environment = {"A='$B' "};
  CHECK(device_file(r, {"bytes", {{"u", "/m"}}}, "/proc/self/fd/7") ==
        "# a.com/b=c\n"
        "bind=/x\\:y:/a\\\\b:ro\n"
        "bind=/d:/e:rw\n"
        "symlink=t\\:u:/l\n"
        "symlink=u:/m\n"
        "copy=/proc/self/fd/7:/etc/ld.so.cache\n"
        "set-env=A=''$B' '\n");
}
