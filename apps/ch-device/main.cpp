// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. ch-device: looks up devices for ch-run --device in the host's Container Device
// Interface files. ch-run, which has no libc, executes this program, and this program executes
// ch-run again. Called by hand, it prints what it found, for use by many launches.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>

#include "apps/ch-device/command_line.hpp"
#include "ch/cli/all_printed.hpp"
#include "ch/cli/help.hpp"
#include "ch/cli/privilege.hpp"
#include "ch/cli/usage.hpp"
#include "ch/inject/file_copy.hpp"
#include "ch/run.hpp"
#include "ch/version.hpp"

namespace {

namespace io = ch::io;
namespace cdi = ch::cdi;
using ch_device::Options;

constexpr int exit_failure = 31;  // as for ch-run, on whose behalf we run
constexpr int exit_usage = 64;

void to_stdout(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print_help() {
  to_stdout(
      "Usage: ch-device [OPTION...] --image IMAGE --device KIND=NAME\n\n"
      "Look up devices, such as nvidia.com/gpu=0, in the Container Device Interface files\n"
      "of this host, and print what ch-run has to do to give them to a container.\n"
      "ch-run --device calls this program itself.\n");
  ch::cli::print_options(ch_device::table, to_stdout);
  to_stdout(
      "\nExamples:\n"
      "  ch-device --list\n"
      "  ch-run --device nvidia.com/gpu=0 /data/cuda -- nvidia-smi\n"
      "\nOnce for many launches:\n"
      "  ch-device --device nvidia.com/gpu=all --image /data/cuda \\\n"
      "      --ld-cache /tmp/job.cache > /tmp/job.devices\n"
      "  ch-run --device-file /tmp/job.devices /data/cuda -- nvidia-smi\n"
      "\nThe exit status is 0 if all went well, 31 if not, 64 for a wrong command line.\n");
}

/// If ch-run has called us, the user has typed "ch-run".
const char* own_name(const Options& o) { return o.run.empty() ? "ch-device" : "ch-run"; }

void warn(const Options& o, const std::string& text) {
  if (!o.quiet) std::fprintf(stderr, "%s: warning: %s\n", own_name(o), text.c_str());
}

void print_list(const cdi::Registry& registry, const Options& o) {
  for (const auto& [name, found] : registry.devices()) {
    std::printf("%s  %s", name.c_str(), io::printable(found.spec->file).c_str());
    if (!found.conflict.empty())
      std::printf("  not usable: also in %s", io::printable(found.conflict).c_str());
    std::printf("\n");
  }
  for (const std::string& problem : registry.problems()) warn(o, "not usable: " + problem);
  if (!registry.devices().empty()) return;
  std::string where;
  for (const std::string& directory : o.directories)
    where += (where.empty() ? "" : ", ") + io::printable(directory);
  warn(o, "no devices are described in " + where);
}

/// A path under which ch-run finds `fd`: the descriptor stays open across exec, does not collide
/// with those that a launcher has given us, and ch-run closes it before the command starts.
std::string inherited(const io::Descriptor& fd) {
  int high = ::fcntl(fd.get(), F_DUPFD, 200);
  if (high < 0) high = ::fcntl(fd.get(), F_DUPFD, 3);
  if (high < 0) io::throw_errno("keep", "a file in memory");
  return "/proc/self/fd/" + std::to_string(high);
}

std::string in_memory(const char* name, const std::string& text) {
  const io::Descriptor fd = cdi::detail::memory_file(name);
  io::write_all(fd.get(), text, "a file in memory");
  return inherited(fd);
}

/// A file being written, which is removed if it can't be finished.
struct Unfinished {
  std::string path;
  Unfinished() = default;
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  ~Unfinished() {
    if (!path.empty()) ::unlink(path.c_str());
  }
};

void write_file(const std::string& path, const std::string& text, Unfinished& unfinished) {
  io::Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) io::throw_errno("write", path);
  if (S_ISREG(io::status_of(fd, path).st_mode)) unfinished.path = path;
  io::write_all(fd.get(), text, path);
  io::close_written(fd, path);
}

/// Stores the cache and returns the path where ch-run finds it.
std::string keep_cache(const Options& o, const cdi::LoaderCache& cache, Unfinished& unfinished) {
  if (cache.bytes.empty()) return {};
  if (!o.run.empty()) return in_memory("ld.so.cache", cache.bytes);
  if (o.cache_file.empty())
    throw io::Failed(o.requests[0].text(), "the device needs another loader cache than the image's",
                     "say where to write the cache: --ld-cache FILE");
  write_file(o.cache_file, cache.bytes, unfinished);
  const std::unique_ptr<char, decltype(&std::free)> whole(::realpath(o.cache_file.c_str(), nullptr),
                                                          &std::free);
  return whole ? whole.get() : o.cache_file;
}

/// Executes ch-run with the same command line plus the devices.
[[noreturn]] void become_ch_run(const Options& o, const std::string& text) {
  std::vector<std::string> words(o.command_line.begin(), o.command_line.end());
  words.insert(words.begin() + 1, "--device-file=" + in_memory("devices", text));
  words[0] = o.run;
  const ch::Failure failure =
      ch::exec(ch::host, words, {.descriptors = io::inherited_descriptors()});
  io::throw_errno("start", o.run, static_cast<int>(failure.code));
}

void resolve(const Options& o, Unfinished& cache_file) {
  const cdi::Registry registry(o.directories);
  const cdi::Resolution resolution = cdi::resolve(registry, o.requests);
  for (const std::string& problem : registry.problems()) warn(o, "not usable: " + problem);
  for (const std::string& warning : resolution.warnings) warn(o, warning);
  cdi::LoaderCache cache;
  if (resolution.hooks.update_cache) {
    cache = cdi::make_loader_cache(o.image, resolution);
    if (cache.bytes.empty())
      warn(o,
           "the image has no ldconfig, so its programs may not find the device's libraries; a "
           "loader other than glibc's can't use most of them");
  }
  const std::string text = cdi::device_file(resolution, cache, keep_cache(o, cache, cache_file));
  if (!o.run.empty()) become_ch_run(o, text);
  to_stdout(text);
}

/// Makes a write beyond `ulimit -f` an error instead of a fatal signal. With a handler rather than
/// SIG_IGN, which ch-run would inherit across exec.
void report_file_size_limit() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  struct sigaction before {};
  if (::sigaction(SIGXFSZ, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
    (void)::sigaction(SIGXFSZ, &action, nullptr);
}

int fail(const Options& o, const std::string& path, const std::string& cause,
         const std::string& remedy) {
  std::fprintf(stderr, "%s: error: %s%s%s\n", own_name(o), path.c_str(), path.empty() ? "" : ": ",
               cause.c_str());
  if (!remedy.empty()) std::fprintf(stderr, "%s: remedy: %s\n", own_name(o), remedy.c_str());
  return exit_failure;
}

int run(const Options& o, Unfinished& cache_file) {
  try {
    if (o.task == Options::Task::list)
      print_list(cdi::Registry(o.directories), o);
    else
      resolve(o, cache_file);
    return 0;
  } catch (const io::Failed& e) {
    const char* option = e.kind() == ch::Remedy::choose_device       ? " (ch-device --list)"
                         : e.kind() == ch::Remedy::name_descriptions ? " (--cdi-dirs)"
                                                                     : "";
    return fail(o, e.path(), e.cause(), e.remedy() + option);
  } catch (const std::bad_alloc&) {
    return fail(o, {}, "out of memory", "raise the limit: ulimit -v");
  } catch (const std::exception& e) {
    return fail(o, {}, e.what(), {});
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (ch::cli::refuses_privilege("ch-device", argc, argv)) return exit_failure;
  report_file_size_limit();
  const Options o = ch_device::parse(argc, argv);
  if (!o.problem.empty()) {
    std::fprintf(stderr, "%s: error: %s\n%s: remedy: see %s --help\n", own_name(o),
                 o.problem.c_str(), own_name(o), own_name(o));
    return exit_usage;
  }
  int status = 0;
  Unfinished cache_file;
  if (o.task == Options::Task::help)
    print_help();
  else if (o.task == Options::Task::usage)
    ch::cli::print_usage("ch-device", ch_device::table, "", to_stdout);
  else if (o.task == Options::Task::version)
    std::printf("ch-device %s\n", ch::version);
  else
    status = run(o, cache_file);
  if (!ch::cli::all_printed("ch-device") && status == 0) status = exit_failure;
  if (status == 0) cache_file.path.clear();
  return status;
} catch (const std::bad_alloc&) {
  std::fputs("ch-device: error: out of memory\nch-device: remedy: raise the limit: ulimit -v\n",
             stderr);
  return exit_failure;
}
