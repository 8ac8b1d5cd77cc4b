// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. The definitions of what inject/interface.hpp declares: they lock an image, undo what a
// killed call left, make a plan from the sources and carry it out, and turn exceptions into
// failures.
#pragma once

#include "ch/inject/device_files.hpp"
#include "ch/inject/image_lock.hpp"
#include "ch/inject/inject.hpp"
#include "ch/inject/interface.hpp"

namespace ch {

namespace injection {

/// A path of the host that the caller has asked for, and what is done with it.
struct Asked {
  std::string path;  // printable
  const char* attempted;
};

/// Returns what `work` returns, or what it throws as a failure to do `attempted` on `image`, or on
/// that one of `asked` which it is about.
template <class Work>
[[nodiscard]] auto outcome_of(const char* attempted, const std::filesystem::path& image,
                              const Work& work, const std::vector<Asked>& asked = {})
    -> Outcome<decltype(work())> {
  if (image.native().find('\0') != std::string::npos) return ch::detail::embedded_nul(attempted);
  try {
    return work();
  } catch (const io::Failed& e) {
    for (const Asked& one : asked)
      if (!e.path().empty() && one.path == e.path()) return e.failure(one.attempted, one.path);
    return e.failure(attempted, io::printable(image.native()));
  } catch (const std::bad_alloc&) {
    return io::out_of_memory().failure(attempted, io::printable(image.native()));
  } catch (const std::exception& e) {
    return io::Failed(std::string(), e.what()).failure(attempted, io::printable(image.native()));
  }
}

/// Refuses a text of the caller's that its reader would see only up to a NUL byte.
inline void refuse_nul(const std::string& text) {
  if (text.find('\0') != std::string::npos)
    throw io::Failed(io::printable(text), "there is a NUL byte in it", "give the path without it");
}

/// The files of a device, with links and warnings.
[[nodiscard]] inline DeviceFiles files_of_device(const FileSource& source,
                                                 const InjectOptions& options) {
  const cdi::Registry registry(options.device_directories.empty() ? cdi::usual_directories
                                                                  : options.device_directories);
  const auto resolution = cdi::resolve(registry, requested_devices(registry, source.value()));
  return device_files(resolution, source.destination());
}

/// The files of one source other than a device.
[[nodiscard]] inline std::vector<Request> requests_of(const FileSource& source) {
  std::vector<std::string> paths;
  std::string origin;
  switch (source.kind()) {
    case FileSource::Kind::command:
      paths = paths_from_command(source.value());
      origin = source.value();
      break;
    case FileSource::Kind::list:
      paths = paths_from_file(source.value());
      origin = source.value();
      break;
    case FileSource::Kind::nvidia:
      paths = paths_from_nvidia();
      origin = "nvidia-container-cli";
      break;
    case FileSource::Kind::cray_cxi:
      origin = "CH_FROMHOST_OFI_CXI";
      paths = {path_from_variable(origin.c_str())};
      break;
    case FileSource::Kind::cray_gni:
      origin = "CH_FROMHOST_OFI_GNI";
      paths = {path_from_variable(origin.c_str())};
      break;
    default:
      paths = {source.value()};
  }
  std::vector<Request> requests;
  requests.reserve(paths.size());
  for (std::string& path : paths)
    requests.push_back({std::move(path), source.destination(), origin});
  return requests;
}

/// All files of `sources`.
[[nodiscard]] inline DeviceFiles files_of(const std::vector<FileSource>& sources,
                                          const InjectOptions& options) {
  DeviceFiles all;
  const auto append = [](auto& to, auto&& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  };
  for (const std::string& directory : options.device_directories) refuse_nul(directory);
  for (const FileSource& source : sources) {
    refuse_nul(source.value());
    refuse_nul(source.destination().value_or(""));
    if (source.kind() != FileSource::Kind::device) {
      append(all.requests, requests_of(source));
      continue;
    }
    DeviceFiles device = files_of_device(source, options);
    append(all.requests, std::move(device.requests));
    append(all.links, std::move(device.links));
    append(all.warnings, std::move(device.warnings));
  }
  return all;
}

[[nodiscard]] inline bool runs_ldconfig(const InjectionPlan& plan, const InjectOptions& options) {
  return plan.needs_ldconfig && options.ldconfig == Ldconfig::run;
}

/// Reports what is known before planning.
inline void tell(const InjectReport& report, const InjectOptions& options) {
  if (options.on_progress) options.on_progress(report);
}

/// Adds `plan` to the report and reports progress.
inline void announce(InjectionPlan& plan, const InjectOptions& options, InjectReport& report) {
  for (std::string& warning : plan.warnings) report.warnings.push_back(std::move(warning));
  plan.warnings.clear();
  report.notes = plan.notes;
  print(plan, [&report](std::string text) { report.plan.push_back(std::move(text)); });
  report.has_run_ldconfig = runs_ldconfig(plan, options);
  report.planned = true;
  tell(report, options);
}

[[nodiscard]] inline InjectReport inject(const std::filesystem::path& image,
                                         const std::vector<FileSource>& sources,
                                         const InjectOptions& options, std::vector<Asked>& asked) {
  InjectReport report;
  const ImageTree tree(image.native());
  for (const FileSource& source : sources)
    if (source.kind() == FileSource::Kind::list || source.kind() == FileSource::Kind::command)
      asked.push_back({io::printable(source.value()), "inject the files that are listed by"});
  DeviceFiles files = files_of(sources, options);
  for (const Request& request : files.requests)
    asked.push_back({io::printable(request.path), "inject"});
  report.warnings = std::move(files.warnings);
  tell(report, options);
  if (files.requests.empty())
    throw io::Failed(std::string(), "empty file list",
                     "check what the file or command lists (one path per line), or what the "
                     "device has");
  std::optional<ImageLock> lock;
  if (options.carry == Carry::out) {
    lock.emplace(tree, options.stop);
    report.recovered = Transaction::recover(tree);
    if (report.recovered) tell(report, options);
  }
  const Manifest before = read_manifest(tree);
  Planner planner(tree, before, options.with_libraries);
  for (const Request& request : files.requests) planner.add(request);
  for (const cdi::Link& link : files.links) planner.add_link(link.path, link.target, "the device");
  InjectionPlan plan = planner.finish();
  if (runs_ldconfig(plan, options)) require_ldconfig(tree, planner.libraries().libc());
  announce(plan, options, report);
  if (options.carry == Carry::out) inject(tree, before, std::move(plan), options, report);
  return report;
}

[[nodiscard]] inline InjectReport take_out(const std::filesystem::path& image,
                                           const InjectOptions& options) {
  InjectReport report;
  const ImageTree tree(image.native());
  std::optional<ImageLock> lock;
  if (options.carry == Carry::out) {
    lock.emplace(tree, options.stop);
    report.recovered = Transaction::recover(tree);
    if (report.recovered) tell(report, options);
  }
  const Manifest manifest = read_manifest(tree);
  InjectionPlan plan = plan_removal(tree, manifest);
  announce(plan, options, report);
  if (options.carry == Carry::out) remove(tree, manifest, std::move(plan), options, report);
  return report;
}

[[nodiscard]] inline std::vector<InjectedFile> injected(const std::filesystem::path& image) {
  const ImageTree tree(image.native());
  std::vector<InjectedFile> files;
  for (const InjectedItem& item : read_manifest(tree).items)
    files.push_back({io::printable(item.path), io::printable(item.source),
                     io::printable(item.target), io::printable(item.reason), item.original != 0,
                     !is_unchanged(tree, item)});
  return files;
}

}  // namespace injection

CHARLIE_INJECT_INLINE Outcome<InjectReport> inject(const std::filesystem::path& image,
                                                   const std::vector<FileSource>& files,
                                                   const InjectOptions& options) {
  std::vector<injection::Asked> asked;
  return injection::outcome_of(
      "inject files into the image", image,
      [&] { return injection::inject(image, files, options, asked); }, asked);
}

CHARLIE_INJECT_INLINE Outcome<InjectReport> take_out(const std::filesystem::path& image,
                                                     const InjectOptions& options) {
  return injection::outcome_of("take what was injected out of the image", image,
                               [&] { return injection::take_out(image, options); });
}

CHARLIE_INJECT_INLINE Outcome<std::vector<InjectedFile>> injected(
    const std::filesystem::path& image) {
  return injection::outcome_of("list what was injected into the image", image,
                               [&] { return injection::injected(image); });
}

CHARLIE_INJECT_INLINE Outcome<std::string> injection_directory(const std::filesystem::path& image,
                                                               InjectKind kind) {
  return injection::outcome_of("look into the image", image, [&] {
    const injection::ImageTree tree(image.native());
    return kind == InjectKind::libraries ? injection::ImageLibraries(tree).first_directory()
                                         : injection::Planner(tree, {}).fabric_directory();
  });
}

}  // namespace ch
