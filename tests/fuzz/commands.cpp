// SPDX-License-Identifier: Apache-2.0
//
// Fuzz targets of the command lines:
//
//   run          all of ch-run up to the printed plan: command line, environment, the
//                configuration, device and environment files, what the image says
//   line         the command lines of ch-tar2dir, ch-fromhost and ch-device, and the lists
//                of files that ch-fromhost reads
//   environment  edits of an environment, one after the other

#include <sys/auxv.h>

#include <memory>
#include <vector>

#include "apps/ch-device/command_line.hpp"
#include "apps/ch-fromhost/command_line.hpp"
#include "apps/ch-tar2dir/command_line.hpp"
#include "ch/environment_edits.hpp"
#include "ch/inject/sources.hpp"
#include "tests/fuzz/target.hpp"

int ch_main(int argc, char** argv, char** envp);  // of apps/ch-run/main.cpp

namespace fuzz {
namespace {

/// Words, each NUL-terminated and in its own allocation, with a null after the last.
class Words {
 public:
  void add(std::string_view word) {
    auto copy = std::make_unique<char[]>(word.size() + 1);
    std::copy(word.begin(), word.end(), copy.get());
    pointers_.back() = copy.get();
    pointers_.push_back(nullptr);
    copies_.push_back(std::move(copy));
  }
  [[nodiscard]] int count() const { return static_cast<int>(copies_.size()); }
  [[nodiscard]] char** pointers() { return pointers_.data(); }
  /// As the kernel hands them to a program: these words, the environment, and behind that the
  /// auxiliary vector.
  [[nodiscard]] std::vector<char*> stack(const Words& environment) const {
    std::vector<char*> all = pointers_;
    all.insert(all.end(), environment.pointers_.begin(), environment.pointers_.end());
    for (const unsigned long type : {AT_UID, AT_EUID, AT_GID, AT_EGID, AT_SECURE, AT_PAGESZ})
      for (const unsigned long value : {type, ::getauxval(type)})
        all.push_back(reinterpret_cast<char*>(value));
    all.insert(all.end(), 2, nullptr);
    return all;
  }

 private:
  std::vector<std::unique_ptr<char[]>> copies_;
  std::vector<char*> pointers_ = {nullptr};
};

/// The byte that replaces a NUL in an input, since words can't contain one.
std::string lines_to_records(std::string_view text) {
  std::string records(text);
  std::replace(records.begin(), records.end(), '\n', '\0');
  return records;
}

/// Closes what ch-run leaves open until exec.
class OpenedSince {
 public:
  OpenedSince() : first_(::fcntl(0, F_DUPFD_CLOEXEC, 512)) {
    if (first_ < 0) wrong("no descriptor");
    ::close(first_);
    // Everything ours opens has a lower number; fill the gap once, so that ch-run's are above.
    for (int fd = ::dup(0); fd >= 0 && fd < first_; fd = ::dup(0)) {
    }
    ::close_range(static_cast<unsigned>(first_), ~0U, 0);
  }
  void close() const { ::close_range(static_cast<unsigned>(first_), ~0U, 0); }

 private:
  int first_;
};

struct RunFiles {
  MemoryFile configuration, devices, lines, records;
  int image, environment, process;
  RunFiles() {
    image = place().fd();
    if (::mkdirat(image, "tree", 0755) != 0 || ::mkdirat(image, "tree/ch", 0755) != 0)
      wrong("mkdir");
    environment = ::openat(image, "tree/ch/environment", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    process = ::openat(image, "tree/ch/process", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (environment < 0 || process < 0) wrong("no files in the image");
  }
};

/// The input is words that end in a NUL; the first byte of some says what they are instead:
/// 1 a variable, 2 a configuration, 3 a device file, 4 and 5 an environment file of lines
/// and of records, 6 and 7 the image's ch/environment and ch/process. "@" is the image.
/// The plan is printed and nothing else is done.
void fuzz_run(std::string_view input) {
  static const RunFiles files;
  static const OpenedSince opened;
  fill(files.environment, {});
  fill(files.process, {});
  Bytes bytes{input};
  Words line;
  Words variables;
  for (const char* word : {"ch-run", "--explain", "--no-device"}) line.add(word);
  while (!bytes.left.empty() && line.count() < 2000) {
    const std::string_view word = bytes.until('\0');
    const std::string_view rest = word.substr(std::min<std::size_t>(1, word.size()));
    switch (word.empty() ? '\0' : word[0]) {
      case 1:
        variables.add(rest);
        break;
      case 2:
        files.configuration.fill(rest);
        variables.add("CH_RUN_CONF=" + files.configuration.path());
        break;
      case 3:
        files.devices.fill(rest);
        line.add("--device-file=" + files.devices.path());
        break;
      case 4:
        files.lines.fill(rest);
        line.add("--set-env=" + files.lines.path());
        break;
      case 5:
        files.records.fill(lines_to_records(rest));
        line.add("--set-env0=" + files.records.path());
        break;
      case 6:
        fill(files.environment, rest);
        break;
      case 7:
        fill(files.process, lines_to_records(rest));
        break;
      default:
        // --check makes namespaces, which is not a test of the command line.
        if (!word.starts_with("--che")) line.add(word == "@" ? place().path() + "/tree" : word);
    }
  }
  std::vector<char*> stack = line.stack(variables);
  const int status = ch_main(line.count(), stack.data(), stack.data() + line.count() + 1);
  opened.close();
  if (status != 0 && status != 1 && status != 31 && status != 64)
    wrong("an undocumented exit status");
  place().check();
}

void fuzz_line(std::string_view input) {
  Bytes bytes{input};
  const int tool = bytes.one() % 4;
  if (tool == 3) {
    for (const std::string& path : ch::injection::paths_in_list(bytes.left))
      if (path.empty()) wrong("an empty path in a list");
    for (const std::string& word : ch::injection::words_of(bytes.left))
      if (word.find(' ') != std::string::npos) wrong("a word with a blank");
    return;
  }
  Words line;
  line.add("tool");
  while (!bytes.left.empty()) line.add(bytes.until('\0'));
  if (tool == 0) {
    const auto o = ch_tar2dir::parse(line.count(), line.pointers());
    if (o.problem.empty() && o.task == ch_tar2dir::Task::unpack && o.destination.empty() &&
        line.count() < 3)
      wrong("an image without an archive or a place");
  } else if (tool == 1) {
    const auto o = ch_fromhost::parse(line.count(), line.pointers());
    if (o.problem.empty() && o.task == ch_fromhost::Task::inject && o.image.empty())
      wrong("an injection into nothing");
  } else {
    const auto o = ch_device::parse(line.count(), line.pointers());
    if (o.problem.empty() && o.task == ch_device::Options::Task::resolve &&
        (o.requests.empty() || o.image.empty()))
      wrong("a look-up of nothing");
  }
}

/// The input: inherited variables up to an empty line, then edits. Texts end in a NUL. The
/// first byte of an edit is its kind, with 4 added if nothing is expanded.
void fuzz_environment(std::string_view input) {
  Bytes bytes{input};
  Words inherited;
  for (auto variable = bytes.until('\0'); !variable.empty() && inherited.count() < 500;
       variable = bytes.until('\0'))
    inherited.add(variable);
  const std::size_t size = std::size_t{1} << (10 + bytes.one() % 11);
  const auto storage = std::make_unique_for_overwrite<std::byte[]>(size);
  ch::Arena arena({storage.get(), size});
  ch::Environment environment(arena, inherited.pointers(), 4);
  while (!bytes.left.empty()) {
    const std::uint8_t kind = bytes.one();
    ch::EnvironmentEdit edit;
    edit.kind = static_cast<ch::EditKind>(kind % 4);
    edit.expansion = (kind & 4) != 0 ? ch::Expansion::off : ch::Expansion::on;
    std::string text(bytes.until('\0'));
    if (edit.kind == ch::EditKind::set_records) text = lines_to_records(text);
    // In its own allocation, which ends where the text ends.
    const auto copy = std::make_unique_for_overwrite<char[]>(text.size());
    std::copy(text.begin(), text.end(), copy.get());
    edit.text = {copy.get(), text.size()};
    if ((kind & 8) != 0) edit.file = "file";
    ch::TextBuffer<256> message;
    const ch::EditProblem problem = apply(environment, edit);
    message << problem;
    if (problem.ok() == !message.view().empty()) wrong("a problem without words");
  }
  const char* const* envp = environment.envp();
  if (envp == nullptr) {
    if (!environment.full()) wrong("no environment, though there is room");
    return;
  }
  for (; *envp != nullptr; ++envp)
    if (std::string_view(*envp).size() > size + input.size()) wrong("a variable without end");
}

constexpr Target targets[] = {
    {"run", fuzz_run}, {"line", fuzz_line}, {"environment", fuzz_environment}};

}  // namespace

std::span<const Target> command_targets() { return targets; }

}  // namespace fuzz
