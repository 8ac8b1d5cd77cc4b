// SPDX-License-Identifier: Apache-2.0
//
// A stranger's program under strict rules of its own: it uses most of the hosted front, and is
// compiled without exceptions and type information, with every warning an error.
#include <ch/run.hpp>
#include <cstdio>

namespace {

struct Scratch {
  void contribute(ch::PlanBuilder& b, const ch::PlanContext&) const noexcept {
    b.bind("/scratch", "/scratch", ch::if_both_exist);
  }
};

}  // namespace

int main() {
  const auto box = ch::compose(ch::image("/"), ch::devices, Scratch{}, ch::as_root,
                               ch::file("text", "/tmp/file"), ch::changes_in_memory());
  const auto explained = ch::explain(box, {"true"});
  if (!explained || explained->empty()) return 1;
  const auto called = ch::call(ch::image("/"), [] { return 3; });
  if (!called || *called != 3) return 2;
  const auto got = ch::capture(ch::image("/"), {"echo", "four"}, {.limit = 100});
  if (!got || got->out != "four\n") return 3;
  auto child = ch::spawn(ch::image("/"), {"sh", "-c", "exit 7"});
  if (!child) {
    std::puts(child.error().text().c_str());
    return 4;
  }
  const auto result = child->wait();
  return result ? result->shell_status() : 5;
}
