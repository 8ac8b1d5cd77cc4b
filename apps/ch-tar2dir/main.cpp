// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. ch-tar2dir ARCHIVE DIR: makes the image directory DIR from an archive of any kind, in a
// container; or lists or checks the archive. The library (ch/image.hpp) does all the work; this is
// the user interface: options, messages, exit status.

#include <malloc.h>
#include <sys/auxv.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

#include "apps/ch-tar2dir/command_line.hpp"
#include "ch/cli/all_printed.hpp"
#include "ch/cli/privilege.hpp"
#include "ch/cli/stop_signals.hpp"
#include "ch/cli/usage.hpp"
#include "ch/image.hpp"
#include "ch/image/listing.hpp"
#include "ch/image/report_json.hpp"
#include "ch/io/progress.hpp"
#include "ch/version.hpp"

namespace {

using namespace ch::images;
using ch_tar2dir::Messages;
namespace io = ch::io;
using ch_tar2dir::Options;
using ch_tar2dir::Task;

constexpr int exit_failure = 1;
constexpr int exit_usage = 64;  // as EX_USAGE of sysexits.h

constexpr std::size_t needed_stack = 28 * 1024;  // 24 KiB were measured; threads have their own

/// Raises the limit on open files: the usual 1024 is only for programs that use select().
void allow_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

void to_stdout(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print_help() {
  to_stdout(
      "Usage: ch-tar2dir [OPTION...] ARCHIVE DIR\n\n"
      "Make DIR, an image that ch-run can run, from ARCHIVE: a tar of a root file system\n"
      "(with or without a directory around everything), a file of \"docker save\", or an\n"
      "OCI layout (archive or directory). It may be plain or compressed with gzip, bzip2,\n"
      "xz, lzma, zstd or lz4; \"-\" is standard input. DIR itself becomes the image. It\n"
      "appears complete or not at all; an older image there is replaced. No privilege is\n"
      "needed: all files become yours, device files are left out.\n");
  ch::cli::print_options(ch_tar2dir::table, to_stdout);
  to_stdout(
      "\nExamples:\n"
      "  ch-tar2dir hello.tar.gz /tmp/hello && ch-run /tmp/hello -- echo hello\n"
      "  docker save solver:2 | ch-tar2dir - /tmp/solver\n"
      "  ch-tar2dir --image tools:9 all.tar /tmp/tools\n"
      "  ch-tar2dir --list hello.tar.gz\n"
      "  srun --ntasks-per-node=1 ch-tar2dir app.tar /tmp/app   # one copy on each node\n"
      "\nThe exit status is 0 if all went well, 1 if not, 64 for a wrong command line.\n");
}

std::string plural(std::uint64_t n, const char* noun) {
  return std::to_string(n) + ' ' + noun + (n == 1 ? "" : "s");
}

void print_report(const Options& o, const UnpackReport& r) {
  if (o.messages == Messages::json) {
    nlohmann::json json = to_json(r);
    json["archive"] = o.archive;
    if (!o.destination.empty()) json["directory"] = o.destination;
    json["kept"] = r.kept;
    json["in_use_by"] = nlohmann::json::array();
    for (const ImageUser& user : r.users)
      json["in_use_by"].push_back({{"pid", user.pid}, {"command", user.command}});
    std::printf("%s\n", io::dump_json(json, 2).c_str());
    return;
  }
  if (o.messages == Messages::errors_only || r.made_by_another)
    return;  // the other ch-tar2dir has printed it
  if (r.devices_skipped != 0)
    std::printf("left out %s: a user may not make them\n",
                plural(r.devices_skipped, "device file").c_str());
  for (const std::string& note : r.notes) std::printf("note: %s\n", note.c_str());
  if (o.messages != Messages::detailed) return;
  std::printf("%s%s%s, compression %s, %s\n", r.format.c_str(), r.image_name.empty() ? "" : " ",
              printable(r.image_name).c_str(), r.compression.c_str(),
              plural(r.layers, "layer").c_str());
  std::printf("%s, %s, %s, %s, %llu bytes\n", plural(r.files, "file").c_str(),
              plural(r.directories, "folder").c_str(), plural(r.links, "link").c_str(),
              plural(r.hard_links, "hard link").c_str(),
              static_cast<unsigned long long>(r.content_bytes));
  if (!r.stripped_directory.empty())
    std::printf("taken out of the directory %s\n", printable(r.stripped_directory).c_str());
}

/// Prints progress.
UnpackEvents events_of(const Options& o, std::optional<io::ProgressBar>& bar) {
  UnpackEvents events;
  if (o.messages == Messages::errors_only || o.messages == Messages::json) return events;
  events.on_wait = [&o] {
    std::printf("waiting for another ch-tar2dir, which is making %s\n", o.destination.c_str());
    std::fflush(stdout);
  };
  events.on_begin = [&o](Makes makes) {
    if (makes == Makes::replacement) {
      std::fprintf(stderr, "replacing existing image %s\n", o.destination.c_str());
    } else {
      std::printf("creating new image %s\n", o.destination.c_str());
      std::fflush(stdout);
    }
  };
  events.on_progress = [&bar](std::uint64_t done, std::uint64_t total) {
    if (!bar) bar.emplace(total, io::ProgressBar::Show::if_terminal);
    bar->update(done);
  };
  events.on_end = [&bar] { bar.reset(); };
  return events;
}

ch::Outcome<UnpackReport> unpack(const Options& o) {
  // A closed pipe is to be reported once the image is there, as a full disk is.
  (void)std::signal(SIGPIPE, SIG_IGN);
  std::optional<io::ProgressBar> bar;
  UnpackOptions options = o.unpack;
  options.events = events_of(o, bar);
  return ch::unpack(o.archive, o.destination, options);
}

ch::Outcome<UnpackReport> look(const Options& o) {
  std::function<void(const ch::Member&)> print;
  if (o.task == Task::list && o.messages != Messages::json)
    print = [](const ch::Member& m) { std::printf("%s\n", listing_line(m).c_str()); };
  return ch::inspect(o.archive, o.unpack, print);
}

/// The option that provides a remedy, if there is one.
const char* option_for(ch::Remedy remedy) {
  switch (remedy) {
    case ch::Remedy::allow_more_files:
      return "--max-files N";
    case ch::Remedy::allow_more_bytes:
      return "--max-size BYTES";
    case ch::Remedy::do_without_ids:
      return "leave out --subids";
    case ch::Remedy::keep_owners:
      return "--subids";
    case ch::Remedy::choose_image:
      return "--image NAME:TAG";
    case ch::Remedy::choose_platform:
      return "--platform OS/ARCHITECTURE";
    case ch::Remedy::leave_out_container:
      return "--contain=auto; ch-run --check says more";
    case ch::Remedy::replace_anything:
      return "--force";
    default:
      return nullptr;
  }
}

int fail(const ch::Failure& why) {
  std::fflush(stdout);
  std::fprintf(stderr, "ch-tar2dir: error: %s: %s\n", why.path.c_str(), why.cause.c_str());
  const char* option = option_for(why.kind);
  if (!why.remedy.empty())
    std::fprintf(stderr, "ch-tar2dir: remedy: %s%s%s%s\n", why.remedy.c_str(),
                 option != nullptr ? " (" : "", option != nullptr ? option : "",
                 option != nullptr ? ")" : "");
  // Dying of the signal tells a shell script more than an exit status would.
  if (why.code == ch::Errno::eintr && ch::cli::stop_signals::requested)
    ch::cli::stop_signals::die_of_signal();
  return why.kind == ch::Remedy::leave_out_choice ? exit_usage : exit_failure;
}

/// What remains to be said when all went well.
void print_end(const Options& o, const UnpackReport& report) {
  print_report(o, report);
  if (!report.left_behind.empty())
    std::fprintf(stderr,
                 "ch-tar2dir: warning: the image is complete, but %s could not be removed; the "
                 "next ch-tar2dir to this name will remove it\n",
                 printable(report.left_behind).c_str());
  if (!report.kept.empty())
    std::fprintf(stderr,
                 "ch-tar2dir: warning: the image that was replaced is in use by %s; it stays, as "
                 "%s\nch-tar2dir: remedy: remove it when they have ended\n",
                 text_of(report.users).c_str(), printable(report.kept).c_str());
  if (o.messages == Messages::errors_only || o.messages == Messages::json) return;
  if (o.task == Task::unpack)
    std::printf("%s unpacked ok%s\n", o.destination.c_str(),
                report.made_by_another ? ", by the other ch-tar2dir" : "");
  if (o.task == Task::check) std::printf("%s is good\n", o.archive.c_str());
}

int run(Options& o) {
  o.unpack.stop = &ch::cli::stop_signals::requested;
  allow_open_files();
  const auto done = o.task == Task::unpack ? unpack(o) : look(o);
  if (!done) return fail(done.error());
  try {
    print_end(o, *done);
  } catch (const std::bad_alloc&) {  // the work is done
    std::fputs("ch-tar2dir: warning: out of memory for the report\n", stderr);
  }
  return 0;
}

/// Allocates nothing.
void say_out_of_memory() {
  std::fputs(
      "ch-tar2dir: error: out of memory\n"
      "ch-tar2dir: remedy: raise the limit on memory (ulimit -v)\n",
      stderr);
}

/// How much of the stack is left; arguments and environment are on it, too. Source: man 3
/// getauxval, man 2 execve.
rlim_t stack_left() {
  rlimit limit{};
  const char here = 0;
  const rlim_t used = ::getauxval(AT_EXECFN) - reinterpret_cast<std::uintptr_t>(&here);
  if (::getrlimit(RLIMIT_STACK, &limit) != 0) return RLIM_INFINITY;
  return used > limit.rlim_cur ? 0 : limit.rlim_cur - used;
}

int start(int argc, char** argv) {
  if (stack_left() < needed_stack) {
    std::fputs(
        "ch-tar2dir: error: the limit on the stack leaves less than 28 KiB\n"
        "ch-tar2dir: remedy: raise it (ulimit -s), or shorten the environment\n",
        stderr);
    return exit_failure;
  }
  if (ch::cli::refuses_privilege("ch-tar2dir", argc, argv)) return exit_failure;
  (void)::mallopt(M_ARENA_MAX, 1);  // one per thread would take 64 MiB of address space each
  ch::cli::stop_signals::install();
  Options o = ch_tar2dir::parse(argc, argv);
  if (!o.problem.empty()) {
    std::fprintf(stderr, "ch-tar2dir: error: %s\nch-tar2dir: remedy: see ch-tar2dir --help\n",
                 o.problem.c_str());
    return exit_usage;
  }
  int status = 0;
  if (o.task == Task::help)
    print_help();
  else if (o.task == Task::usage)
    ch::cli::print_usage("ch-tar2dir", ch_tar2dir::table, "ARCHIVE DIR", to_stdout);
  else if (o.task == Task::version)
    std::printf("ch-tar2dir %s\n", ch::version);
  else
    status = run(o);
  return ch::cli::all_printed("ch-tar2dir") || status != 0 ? status : exit_failure;
}

}  // namespace

int main(int argc, char** argv) {
  // Lack of memory may leave none to throw an exception; or one is thrown where none may be, as
  // while nlohmann::json frees a document, for which it allocates.
  std::set_terminate([] {
    try {
      if (const auto thrown = std::current_exception()) std::rethrow_exception(thrown);
    } catch (const std::bad_alloc&) {
    } catch (...) {
      std::abort();
    }
    say_out_of_memory();
    ::_exit(exit_failure);
  });
  try {
    return start(argc, argv);
  } catch (const std::exception&) {  // only lack of memory gets here
    say_out_of_memory();
    return exit_failure;
  }
}
