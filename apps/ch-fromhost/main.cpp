// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. ch-fromhost [OPTION...] IMAGE: copies files of the host into an image directory,
// each to where its kind belongs, all or nothing. All work is the library's (ch/inject/);
// here is what concerns people: options, messages, exit status.

#include <cstdio>

#include "apps/ch-fromhost/options.hpp"
#include "ch/cli/all_printed.hpp"
#include "ch/cli/privilege.hpp"
#include "ch/cli/stop_signals.hpp"
#include "ch/cli/usage.hpp"
#include "ch/inject/device_files.hpp"
#include "ch/inject/inject.hpp"
#include "ch/version.hpp"

namespace {

using namespace ch::injection;
namespace io = ch::io;
namespace cdi = ch::cdi;
using ch_fromhost::Options;
using ch_fromhost::Source;
using ch_fromhost::Task;

constexpr int exit_failure = 1;
constexpr int exit_usage = 64;  // as EX_USAGE of sysexits.h

void to_stdout(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }
void line(std::string_view text) {
  to_stdout(text);
  to_stdout("\n");
}
void warn(const std::vector<std::string>& warnings) {
  for (const std::string& w : warnings)
    std::fprintf(stderr, "ch-fromhost: warning: %s\n", w.c_str());
}

void print_help() {
  to_stdout(
      "Usage: ch-fromhost [OPTION...] SOURCE... IMAGE\n\n"
      "Copy files of this host into the image directory IMAGE: drivers, fabrics, and the\n"
      "libraries they need. Programs go to /usr/bin, shared libraries to where the image's\n"
      "loader looks first, libfabric and its providers to the image's libfabric; what a file\n"
      "is decides, then its path. The image gets all of it or is left as it was, and\n"
      "--remove takes it out again.\n");
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

/// The files of a device, and links and warnings into `devices`.
std::vector<Request> requests_of_device(const Options& o, const Source& source,
                                        DeviceFiles& devices) {
  const char* variable = std::getenv("CH_RUN_CDI_DIRS");
  const std::string directories =
      o.cdi_directories.empty() && variable != nullptr ? variable : o.cdi_directories;
  const cdi::Registry registry(directories.empty() ? cdi::usual_directories
                                                   : cdi::split_directories(directories));
  const auto resolution = cdi::resolve(registry, requested_devices(registry, source.value));
  const auto edits = device_files(resolution, source.destination);
  devices.links.insert(devices.links.end(), edits.links.begin(), edits.links.end());
  devices.warnings.insert(devices.warnings.end(), edits.warnings.begin(), edits.warnings.end());
  return edits.requests;
}

/// The files of one source.
std::vector<Request> requests_of(const Options& o, const Source& source, DeviceFiles& devices) {
  if (source.id == ch_fromhost::opt_cdi) return requests_of_device(o, source, devices);
  std::vector<std::string> paths;
  std::string origin = "--path";
  switch (source.id) {
    case ch_fromhost::opt_cmd:
      paths = paths_from_command(source.value);
      origin = "--cmd " + source.value;
      break;
    case ch_fromhost::opt_file:
      paths = paths_from_file(source.value);
      origin = "--file " + source.value;
      break;
    case ch_fromhost::opt_nvidia:
      paths = paths_from_nvidia();
      origin = "--nvidia";
      break;
    case ch_fromhost::opt_cray_cxi:
      paths = {path_from_variable("CH_FROMHOST_OFI_CXI")};
      origin = "CH_FROMHOST_OFI_CXI";
      break;
    case ch_fromhost::opt_cray_gni:
      paths = {path_from_variable("CH_FROMHOST_OFI_GNI")};
      origin = "CH_FROMHOST_OFI_GNI";
      break;
    default:
      paths = {source.value};
  }
  return paths | ranges::views::transform([&source, &origin](const std::string& path) {
           return Request{path, source.destination, origin};
         }) |
         ranges::to<std::vector>();
}

void print_plan(const InjectionPlan& plan, bool verbose) {
  for (const std::string& note : plan.notes)
    if (verbose) line("  " + note);
  print(plan, [](const std::string& text) { line("  " + text); });
}

int inject_files(const Options& o, const ImageTree& tree) {
  DeviceFiles devices;
  const auto requests = o.sources | ranges::views::transform([&](const Source& source) {
                          return requests_of(o, source, devices);
                        }) |
                        ranges::to<std::vector>() | ranges::actions::join;
  warn(devices.warnings);
  if (requests.empty())
    throw io::Failed({}, "empty file list",
                     "see what the file or command lists; it must be a path a line");
  std::optional<ImageLock> lock;
  if (!o.dry_run) {
    lock.emplace(tree, &ch::cli::stop_signals::requested);
    if (Transaction::recover(tree))
      std::fputs("ch-fromhost: note: cleared up after an earlier run, which could not\n", stderr);
  }
  const Manifest before = read_manifest(tree);
  Planner planner(tree, before);
  for (const Request& request : requests) planner.add(request);
  for (const cdi::Link& link : devices.links) planner.add_link(link.path, link.target, "--cdi");
  InjectionPlan plan = planner.finish();
  warn(plan.warnings);
  if (plan.needs_ldconfig && o.ldconfig) require_ldconfig(tree, planner.libraries().libc());
  if (o.dry_run || o.verbose) {
    line((o.dry_run ? "would inject into image: " : "injecting into image: ") +
         io::printable(tree.path()));
    print_plan(plan, true);
  }
  if (o.dry_run) {
    if (plan.needs_ldconfig && o.ldconfig) line("would run ldconfig");
    return 0;
  }
  InjectOptions options;
  options.ldconfig = o.ldconfig ? Ldconfig::run : Ldconfig::leave_out;
  options.stop = &ch::cli::stop_signals::requested;
  const InjectReport report = inject(tree, before, std::move(plan), options);
  warn(report.warnings);
  if (o.verbose && report.has_run_ldconfig) line("ran ldconfig and checked its list");
  if (!report.changed) line("nothing to do: all of it is in the image already");
  line("done");
  return 0;
}

int remove_files(const Options& o, const ImageTree& tree) {
  std::optional<ImageLock> lock;
  if (!o.dry_run) {
    lock.emplace(tree, &ch::cli::stop_signals::requested);
    (void)Transaction::recover(tree);
  }
  const Manifest manifest = read_manifest(tree);
  InjectionPlan plan = plan_removal(tree, manifest);
  warn(plan.warnings);
  plan.warnings.clear();
  if (o.dry_run || o.verbose) print_plan(plan, true);
  if (o.dry_run) return 0;
  InjectOptions options;
  options.ldconfig = o.ldconfig ? Ldconfig::run : Ldconfig::leave_out;
  options.stop = &ch::cli::stop_signals::requested;
  const InjectReport report = remove(tree, manifest, std::move(plan), options);
  warn(report.warnings);
  line(report.changed ? "done" : "nothing to do: nothing is injected");
  return 0;
}

int list_files(const Options& o, const ImageTree& tree) {
  for (const InjectedItem& item : read_manifest(tree).items) {
    std::string text = io::printable(item.path);
    if (o.verbose) {
      if (!item.source.empty()) text += " <- " + io::printable(item.source);
      if (!item.target.empty()) text += " -> " + io::printable(item.target);
      text += " (" + io::printable(item.reason) +
              (item.original != 0 ? "; replaces a file of the image)" : ")");
      if (!is_unchanged(tree, item)) text += " [changed since]";
    }
    line(text);
  }
  return 0;
}

int fail(const io::Failed& e) {
  std::fflush(stdout);
  std::fprintf(stderr, "ch-fromhost: error: %s\n", e.what());
  if (!e.remedy().empty()) std::fprintf(stderr, "ch-fromhost: remedy: %s\n", e.remedy().c_str());
  if (e.code() == EINTR && ch::cli::stop_signals::which != 0) {
    // To die of the signal tells a shell script more than an exit status would.
    ch::cli::stop_signals::die();
  }
  return exit_failure;
}

int run(const Options& o) {
  try {
    const ImageTree tree(o.image);
    switch (o.task) {
      case Task::list:
        return list_files(o, tree);
      case Task::remove:
        return remove_files(o, tree);
      case Task::print_libraries:
        line(io::printable(ImageLibraries(tree).first_directory()));
        return 0;
      case Task::print_fabric:
        line(io::printable(Planner(tree, Manifest{}).fabric_directory()));
        return 0;
      default:
        return inject_files(o, tree);
    }
  } catch (const io::Failed& e) {
    return fail(e);
  } catch (const std::bad_alloc&) {
    return fail(io::Failed({}, "out of memory", "raise the limit: ulimit -v"));
  } catch (const std::exception& e) {
    return fail(io::Failed({}, e.what()));
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (ch::cli::refuses_privilege("ch-fromhost", argc, argv)) return exit_failure;
  ch::cli::stop_signals::take();
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
