// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. ch-fromhost [OPTION...] IMAGE: copies files of the host into an image directory,
// each to where its kind belongs, all or nothing. The library (ch/inject.hpp) does all the work;
// this is the user interface: options, messages, exit status.

#include <cstdio>
#include <cstdlib>
#include <new>

#include "apps/ch-fromhost/command_line.hpp"
#include "ch/cli/all_printed.hpp"
#include "ch/cli/privilege.hpp"
#include "ch/cli/stop_signals.hpp"
#include "ch/cli/usage.hpp"
#include "ch/inject.hpp"
#include "ch/io/text.hpp"
#include "ch/version.hpp"

namespace {

namespace io = ch::io;
using ch_fromhost::Options;
using ch_fromhost::Task;

constexpr int exit_failure = 1;
constexpr int exit_usage = 64;  // as EX_USAGE of sysexits.h

void to_stdout(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }
void line(std::string_view text) {
  to_stdout(text);
  to_stdout("\n");
}
void print_help() {
  to_stdout(
      "Usage: ch-fromhost [OPTION...] SOURCE... IMAGE\n\n"
      "Copy files of this host into the image directory IMAGE: drivers, fabrics,\n"
      "programs. Programs go to /usr/bin, with the libraries that the image lacks;\n"
      "shared libraries to where the image's loader looks first, libfabric and its\n"
      "providers to the image's libfabric. What a file is decides, then its path. The\n"
      "image gets all of it or is left as it was, and --remove takes it out again.\n");
  ch::cli::print_options(ch_fromhost::table, to_stdout);
  to_stdout(
      "\nExamples:\n"
      "  ch-fromhost --nvidia /var/tmp/image\n"
      "  ch-fromhost --path /usr/bin/strace /var/tmp/image\n"
      "  ch-fromhost --dry-run --file list.txt --dest /etc --path site.conf /var/tmp/image\n"
      "  ch-fromhost --list /var/tmp/image\n"
      "  ch-fromhost --remove /var/tmp/image\n"
      "\nThe exit status is 0 if all went well, 1 if not, 64 for a wrong command line.\n");
}

/// The option that provides a remedy, if there is one.
const char* option_for(ch::Remedy remedy) {
  switch (remedy) {
    case ch::Remedy::unpack_first:
      return "ch-tar2dir ARCHIVE DIR";
    case ch::Remedy::choose_place:
      return "--dest DIR, before the file";
    case ch::Remedy::leave_out_ldconfig:
      return "--no-ldconfig";
    case ch::Remedy::take_out:
      return "--remove";
    case ch::Remedy::choose_device:
      return "ch-device --list shows them";
    case ch::Remedy::name_descriptions:
      return "--cdi-dirs";
    default:
      return nullptr;
  }
}

int fail(const ch::Failure& why) {
  std::fflush(stdout);
  std::fprintf(stderr, "ch-fromhost: error: %s\n", why.cause.c_str());
  const char* option = option_for(why.kind);
  if (!why.remedy.empty())
    std::fprintf(stderr, "ch-fromhost: remedy: %s%s%s%s\n", why.remedy.c_str(),
                 option != nullptr ? " (" : "", option != nullptr ? option : "",
                 option != nullptr ? ")" : "");
  if (why.code == ch::Errno::eintr && ch::cli::stop_signals::which != 0) {
    // Dying of the signal tells a shell script more than an exit status would.
    ch::cli::stop_signals::die_of_signal();
  }
  return exit_failure;
}

/// Prints progress before anything is changed, and what is left to say at the end.
class Told {
 public:
  explicit Told(const Options& o) : o_(o) {}

  void progress(const ch::InjectReport& report) {
    if (!report.planned && report.recovered && o_.task == Task::inject)
      std::fputs("ch-fromhost: note: cleared up after an earlier run, which could not\n", stderr);
    warnings(report);
    if (!report.planned || (!o_.dry_run && !o_.verbose)) return;
    if (o_.task == Task::inject)
      line((o_.dry_run ? "would inject into image: " : "injecting into image: ") +
           io::printable(o_.image));
    for (const std::string& note : report.notes) line("  " + note);
    for (const std::string& text : report.plan) line("  " + text);
    if (o_.dry_run && o_.task == Task::inject && report.has_run_ldconfig)
      line("would run ldconfig");
  }
  void end(const ch::InjectReport& report, const char* nothing) {
    warnings(report);
    if (o_.dry_run) return;
    if (o_.verbose && o_.task == Task::inject && report.has_run_ldconfig)
      line("ran ldconfig and checked its cache");
    if (!report.changed) line(nothing);
    if (report.changed || o_.task == Task::inject) line("done");
  }

 private:
  void warnings(const ch::InjectReport& report) {
    for (; warned_ < report.warnings.size(); ++warned_)
      std::fprintf(stderr, "ch-fromhost: warning: %s\n", report.warnings[warned_].c_str());
  }

  const Options& o_;
  std::size_t warned_ = 0;
};

int change(const Options& o) {
  Told told(o);
  const char* variable = std::getenv("CH_RUN_CDI_DIRS");
  const std::string directories =
      o.cdi_directories.empty() && variable != nullptr ? variable : o.cdi_directories;
  const ch::InjectOptions options{
      .with_libraries = o.with_libraries,
      .ldconfig = o.ldconfig ? ch::Ldconfig::run : ch::Ldconfig::leave_out,
      .carry = o.dry_run ? ch::Carry::nothing : ch::Carry::out,
      .device_directories = io::split(directories, ":"),
      .stop = &ch::cli::stop_signals::requested,
      .on_progress = [&told](const ch::InjectReport& report) { told.progress(report); }};
  const bool removes = o.task == Task::remove;
  const auto done =
      removes ? ch::take_out(o.image, options) : ch::inject(o.image, o.sources, options);
  if (!done) return fail(done.error());
  told.end(*done, removes ? "nothing to do: nothing is injected"
                          : "nothing to do: all of it is in the image already");
  return 0;
}

int list_files(const Options& o) {
  const auto files = ch::injected(o.image);
  if (!files) return fail(files.error());
  for (const ch::InjectedFile& file : *files) {
    std::string text = file.path;
    if (o.verbose) {
      if (!file.source.empty()) text += " <- " + file.source;
      if (!file.target.empty()) text += " -> " + file.target;
      text += " (" + file.reason + (file.replaces ? "; replaces a file of the image)" : ")");
      if (file.changed) text += " [changed since]";
    }
    line(text);
  }
  return 0;
}

/// Prints where libraries or providers would go.
int print_place(const Options& o) {
  const auto place =
      ch::injection_directory(o.image, o.task == Task::print_libraries ? ch::InjectKind::libraries
                                                                       : ch::InjectKind::libfabric);
  if (!place) return fail(place.error());
  line(io::printable(*place));
  return 0;
}

int run(const Options& o) {
  switch (o.task) {
    case Task::list:
      return list_files(o);
    case Task::print_libraries:
    case Task::print_fabric:
      return print_place(o);
    default:
      return change(o);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (ch::cli::refuses_privilege("ch-fromhost", argc, argv)) return exit_failure;
  ch::cli::stop_signals::install();
  const Options o = ch_fromhost::parse(argc, argv);
  if (!o.problem.empty()) {
    std::fprintf(stderr, "ch-fromhost: error: %s\nch-fromhost: remedy: see ch-fromhost --help\n",
                 io::printable(o.problem).c_str());
    return exit_usage;
  }
  int status = 0;
  if (o.task == Task::help)
    print_help();
  else if (o.task == Task::usage)
    ch::cli::print_usage("ch-fromhost", ch_fromhost::table, "IMAGE", to_stdout);
  else if (o.task == Task::version)
    std::printf("ch-fromhost %s\n", ch::version);
  else
    status = run(o);
  return ch::cli::all_printed("ch-fromhost") || status != 0 ? status : exit_failure;
} catch (const std::bad_alloc&) {
  std::fputs("ch-fromhost: error: out of memory\nch-fromhost: remedy: raise the limit: ulimit -v\n",
             stderr);
  return exit_failure;
}
