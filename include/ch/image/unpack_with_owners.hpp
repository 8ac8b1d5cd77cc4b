// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Unpacking with the owners that the archive names: all work is done by a function that
// is called in a user namespace with the caller's subordinate ids, since only there can it change
// owners, and remove such files of a replaced image. This process stays outside, where it can see
// who uses an image.
// Source: hosted/subordinate_ids.hpp.
#pragma once

#include "ch/image/outside_users.hpp"
#include "ch/image/unpack.hpp"

namespace ch::images::detail {

/// A report as JSON, including what report_json.hpp omits since it only makes sense on this
/// machine; and back.
[[nodiscard]] inline nlohmann::json whole_report(const UnpackReport& report) {
  nlohmann::json users = nlohmann::json::array();
  for (const ImageUser& user : report.users)
    users.push_back({{"pid", user.pid}, {"command", user.command}});
  return {{"report", to_json(report)},
          {"left_behind", report.left_behind},
          {"kept", report.kept},
          {"users", users}};
}
[[nodiscard]] inline UnpackReport whole_report(const nlohmann::json& json) {
  UnpackReport report = report_from_json(json.at("report"));
  report.left_behind = json.at("left_behind");
  report.kept = json.at("kept");
  for (const nlohmann::json& user : json.at("users"))
    report.users.push_back({user.at("pid").get<pid_t>(), user.at("command")});
  return report;
}

/// The called function. `unpack(options, users)` does the work.
template <class Unpack>
std::string unpack_in_copy(const UnpackOptions& options, const OutsideUsers& outside,
                           const Unpack& unpack) {
  struct sigaction action {};
  action.sa_handler = [](int) {};  // so that it interrupts reads
  (void)::sigaction(SIGTERM, &action, nullptr);
  try {
    return io::dump_json(
        whole_report(unpack(options, UsersOf([&](int image) { return outside.of(image); }))));
  } catch (const io::Failed& e) {
    return io::dump_json({{"error", to_json(e)}});
  } catch (const std::bad_alloc&) {
    return io::dump_json({{"error", to_json(io::out_of_memory())}});
  }
}

/// Throws the reason why there are no such ids, or no such namespace.
[[noreturn]] inline void throw_no_owners(const ch::Failure& failure) {
  const int code = static_cast<int>(failure.code);
  throw io::Failed(io::Reason::refused, failure.path,
                   failure.cause.empty() ? "can't " + failure.attempted + ": " + std::strerror(code)
                                         : failure.cause,
                   failure.remedy, code)
      .with_kind(failure.kind);
}

/// Answers the requests of `called` until it ends, and passes options.stop on.
inline void serve_until_end(Called<std::string>& called, OutsideUsers& outside,
                            const UnpackOptions& options, std::atomic<bool>& stop) {
  for (int tenths = 0;;) {
    pollfd ready[] = {{called.result_fd(), POLLIN, 0}, {outside.outside(), POLLIN, 0}};
    const int events = ::poll(ready, 2, 100);
    if (events > 0 && ready[1].revents != 0) outside.answer();
    if (called.wait_for({})) return;
    if (options.stop == nullptr || !options.stop->load()) continue;
    stop = true;
    // It may be just before its read, so one signal may not suffice.
    if (events == 0 && tenths++ % 10 == 0) called.kill(SIGTERM);
  }
}

/// Calls `unpack(options, users)` in a user namespace with the ids for the archive's owners. Throws
/// io::Failed: refused if there are no such ids, or this process has other threads.
template <class Unpack>
UnpackReport with_owners(const Input& input, const UnpackOptions& options, const Unpack& unpack) {
  if (!has_one_thread())
    throw io::Failed(io::Reason::refused, {},
                     "a process with other threads can't keep the owners of files",
                     "unpack before starting threads, or let all files be yours");
  OutsideUsers outside;
  CallOptions how;
  how.descriptors = descriptors_of(input);
  how.descriptors->push_back(outside.inside());
  Shared<std::atomic<bool>> stop;
  UnpackOptions inside = options;
  inside.stop = &stop.get();
  auto called = spawn_call(
      compose(NamespaceSet<ns::user>{}, subordinate_ids()),
      [&] { return unpack_in_copy(inside, outside, unpack); }, how);
  if (!called) throw_no_owners(called.error());
  serve_until_end(*called, outside, options, stop.get());
  const Outcome<std::string> told = called->get();
  if (!told && stop.get()) throw io::interrupted();
  if (!told && told.error().part == FailedPart::container) throw_no_owners(told.error());
  if (!told)
    throw io::Failed(io::Reason::system, {}, "the process that unpacks: " + told.error().cause,
                     "if it was killed for lack of memory (dmesg), allow more; what it left is "
                     "removed when this is run again");
  const auto answer = nlohmann::json::parse(*told);
  if (answer.contains("error")) throw error_from_json(answer.at("error"));
  return whole_report(answer);
}

}  // namespace ch::images::detail
