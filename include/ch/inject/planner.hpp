// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. From requests to a plan: each file is examined and given a place, libraries get the
// links for their sonames, libfabric brings what it needs, and what the image already has is left
// out. Nothing is changed, so errors occur before any copying.
// Source: ch-fromhost's manual page.
#pragma once

#include <range/v3/algorithm/any_of.hpp>
#include <range/v3/algorithm/contains.hpp>
#include <range/v3/algorithm/find.hpp>
#include <range/v3/algorithm/none_of.hpp>

#include "ch/inject/already_there.hpp"
#include "ch/inject/examined.hpp"
#include "ch/inject/glibc_check.hpp"
#include "ch/inject/interface.hpp"
#include "ch/inject/libfabric.hpp"
#include "ch/inject/manifest.hpp"
#include "ch/inject/shadowing.hpp"

namespace ch::injection {

class Planner {
 public:
  /// `before`: what earlier injections added, which does not count as the image's own.
  Planner(const ImageTree& tree, Manifest before, WithLibraries with = WithLibraries::of_programs,
          HostSettings settings = settings_of_host())
      : tree_(tree), before_(std::move(before)), image_(tree), settings_(settings), with_(with) {}

  [[nodiscard]] const ImageLibraries& libraries() const noexcept { return image_; }

  /// The directory of the image's libfabric; providers go to libfabric/ in it.
  [[nodiscard]] std::string fabric_directory() {
    if (!fabric_) {
      const auto found = fabric_directories(tree_, image_);
      if (found.empty())
        throw io::Failed(io::printable(tree_.path()), "the image has no libfabric.so",
                         "install libfabric in the image, or say where this file goes")
            .with_kind(Remedy::choose_place);
      if (found.size() > 1)
        plan_.warnings.push_back("the image has several libfabric.so; taking the one in " +
                                 io::printable(found.front()));
      fabric_ = found.front();
    }
    return *fabric_;
  }

  /// Plans one file. Throws if it can't be read or has no destination.
  void add(const Request& request) {
    const auto& [file, status, elf, verdict] = examine(request);
    if (verdict.rules_differ())
      plan_.notes.push_back(io::printable(request.path) + " is classified as " +
                            name_of(verdict.kind) + ": " + verdict.rule + " (" + verdict.path_rule +
                            ", which says " + name_of(verdict.by_path) + ")");
    const std::string directory = destination(request, verdict);
    if (elf && belongs_to_image(request, *elf, directory)) return;
    check_can_replace(file, request.path, elf, directory, image_, before_);
    std::string reason = request.destination ? "as asked for" : "inferred: " + verdict.rule;
    if (!request.origin.empty()) reason += "; from " + io::printable(request.origin);
    if (!place(request, identity_of(status), directory, std::move(reason))) return;
    if (verdict.kind != Kind::other && verdict.kind != Kind::executable)
      plan_.needs_ldconfig = true;
    if (!elf) return;
    incoming_.push_back(
        {request.path, directory + '/' + std::string(io::base_of(request.path)), *elf});
    const bool is_program = verdict.kind == Kind::executable;
    if ((with_ == WithLibraries::of_programs && is_program) || with_ == WithLibraries::of_all)
      bringing_.push_back(incoming_.back());
    if (request.destination) return;
    if (verdict.kind == Kind::fabric) add_replacement(request, *elf);
    if (verdict.kind == Kind::fabric_provider) add_provider(request, *elf);
  }

  /// Plans the link `path` to `target`. If `target` names a file that is also injected, the link
  /// leads to wherever that goes; if it is a bare name, the link is put beside that file.
  void add_link(const std::string& path, const std::string& target, const std::string& reason) {
    links_.push_back({std::string(io::parent_of(path)), std::string(io::base_of(path)),
                      action::Link{target}, reason});
  }

  /// Completes and returns the plan. The planner can't be used after that.
  [[nodiscard]] InjectionPlan finish() {
    if (!left_out_.empty())
      plan_.warnings.push_back(
          "left out, since the image's programs need those of its own C "
          "library: " +
          io::join(left_out_, ", "));
    bring_libraries();
    std::set<std::string> replaced;
    for (const Entry& e : plan_.entries) replaced.insert(e.path());
    check_shadowed(
        tree_, incoming_, image_, [this](const Incoming& i) { return is_found(i); },
        [&replaced](const std::string& path) { return replaced.contains(path); }, plan_.warnings);
    check_versions(incoming_, image_, [this](const Incoming& i, const std::string& soname) {
      plan_.warnings.push_back(io::printable(i.source) + " needs " + io::printable(soname) +
                               ", which neither the image nor this injection has: inject that, "
                               "too, or bind it into the container");
    });
    add_soname_links();
    add_wanted_links();
    if (uses_fabric_) add_fabric_support();
    std::erase_if(plan_.entries, [this](const Entry& e) {
      if (!is_there(tree_, before_, e)) return false;
      plan_.unchanged.push_back(e.path());
      return true;
    });
    return std::move(plan_);
  }

 private:
  /// Does the loader search the directory where `incoming` goes, or does it replace an existing
  /// file?
  [[nodiscard]] bool is_found(const Incoming& incoming) const {
    const std::string directory(io::parent_of(incoming.path));
    if (ranges::contains(image_.directories(), directory)) return true;
    const io::Descriptor& at = tree_.held_directory(directory);
    const auto name =
        incoming.elf.soname.empty() ? std::string(io::base_of(incoming.path)) : incoming.elf.soname;
    struct stat status {};
    return at && io::is_plain_name(name) && io::status_of(at.get(), name, status);
  }

  /// Is this a part of the C library that the image has itself? If it comes from a list it is left
  /// out, as ldd lists it for every program; if it was named explicitly, that is an error.
  bool belongs_to_image(const Request& request, const ElfFile& elf, const std::string& directory) {
    const std::string name(io::base_of(request.path));
    const std::string soname = elf.soname.empty() ? name : elf.soname;
    if (elf.type != ElfFile::Type::library || !is_part_of_libc(soname) ||
        !is_found({request.path, directory + '/' + name, elf}) ||
        image_.find(soname, elf) == nullptr)
      return false;
    if (request.origin.empty())
      throw io::Failed(io::printable(request.path),
                       "cannot inject (the image has its own " + io::printable(soname) +
                           ", and none of its programs would start with another)",
                       "leave it out: injected files use the image's C library; or use an image "
                       "whose C library is new enough");
    left_out_.push_back(io::printable(soname));
    return true;
  }

  std::string destination(const Request& request, const Verdict& verdict) {
    if (request.destination) {
      const std::string& wanted = *request.destination;
      if (!wanted.starts_with('/'))
        throw io::Failed(io::printable(wanted), "this is not an absolute path",
                         "a place is a directory as seen in the image, such as /usr/local/bin")
            .with_kind(Remedy::choose_place);
      if (!tree_.has_directory(wanted))
        throw io::Failed(io::printable(tree_.path() + wanted), "this is not a directory",
                         "make it first, or choose one that the image has");
      return tree_.locate(wanted);
    }
    switch (verdict.kind) {
      case Kind::executable:
        return needed_directory("/usr/bin", "for programs");
      case Kind::library:
        return image_.first_directory();
      case Kind::fabric:
        uses_fabric_ = true;
        return fabric_directory();
      case Kind::fabric_provider:
        if (settings_.has_fi_provider_path)
          throw io::Failed(io::printable(request.path),
                           "FI_PROVIDER_PATH is set, and no place is given",
                           "libfabric looks for providers there only: give that directory of the "
                           "image as the place, or unset the variable")
              .with_kind(Remedy::choose_place);
        uses_fabric_ = true;
        return needed_directory(fabric_directory() + "/libfabric", "for providers of libfabric");
      default:
        if (!request.otherwise.empty())
          return needed_directory(request.otherwise, "for files of a device");
        throw io::Failed(io::printable(request.path),
                         "this is neither a program nor a library, and no place is given for it",
                         "say where it goes")
            .with_kind(Remedy::choose_place);
    }
  }

  /// The directory `path` in the image, resolved. It and its parents are planned if missing.
  std::string needed_directory(const std::string& path, const std::string& reason) {
    std::string place = tree_.locate(path);
    std::vector<NewDirectory> missing;
    for (std::string p = place; !p.empty() && !tree_.has_directory(p); p = io::parent_of(p))
      if (!ranges::contains(plan_.directories, p, &NewDirectory::path))
        missing.push_back({p, reason});
    plan_.directories.insert(plan_.directories.end(), missing.rbegin(), missing.rend());
    return place;
  }

  /// False if the same file goes there already.
  bool place(const Request& request, const FileIdentity& identity, const std::string& directory,
             std::string reason) {
    Entry entry{directory, std::string(io::base_of(request.path)),
                action::Copy{request.path, identity}, std::move(reason)};
    for (const Entry& other : plan_.entries) {
      if (other.directory != entry.directory || other.name != entry.name) continue;
      const auto& copy = std::get<action::Copy>(other.action);
      if (copy.identity == identity) return false;
      throw io::Failed(io::printable(request.path),
                       "this and " + io::printable(copy.source) + " would both become " +
                           io::printable(entry.path()) + " in the image",
                       "inject one of them, or send them to different places")
          .with_kind(Remedy::choose_place);
    }
    plan_.entries.push_back(std::move(entry));
    return true;
  }

  [[nodiscard]] const ImageLibraries& host() {
    if (!host_) {
      host_tree_.emplace("/");
      host_.emplace(*host_tree_);
    }
    return *host_;
  }

  /// Does the image have this library of its own?
  [[nodiscard]] bool image_has(const std::string& soname, const ElfFile& like) const {
    const FoundLibrary* found = image_.find(soname, like);
    if (found == nullptr) return false;
    const std::string directory = tree_.locate(std::string(io::parent_of(found->path)));
    return before_.find(directory + '/' + std::string(io::base_of(found->path))) == nullptr;
  }

  /// Plans to copy the libraries that `elf`, the host's file `path`, needs and that are not
  /// `provided`. Returns those that the host has.
  template <class Provided>
  std::vector<Dependency> bring(const std::string& path, const ElfFile& elf,
                                const Provided& provided) {
    std::vector<Dependency> needed = host_dependencies(path, elf, host(), provided);
    for (const Dependency& d : needed) {
      if (d.is_provided)
        plan_.notes.push_back("skipping " + io::printable(d.soname) + ", which the image has");
      if (d.is_provided || d.path.empty()) continue;  // check_versions() will report the latter
      const Request request{d.path, {}, {}};
      auto [file, status, library, verdict] = examine(request);
      const std::string directory = image_.first_directory();
      check_can_replace(file, d.path, library, directory, image_, before_);
      if (!place(request, identity_of(status), directory, "needed by " + io::printable(path)))
        continue;
      plan_.needs_ldconfig = true;
      if (library)
        incoming_.push_back(
            {d.path, directory + '/' + std::string(io::base_of(d.path)), std::move(*library)});
    }
    std::erase_if(needed, [](const Dependency& d) { return d.is_provided || d.path.empty(); });
    return needed;
  }

  /// Will `user` find a library of this soname that has all versions it needs, in the image or
  /// because it is also injected? A part of an earlier injection counts as neither, since it may
  /// have to be replaced.
  [[nodiscard]] bool is_provided(const std::string& soname, const ElfFile& user) {
    for (const Incoming& i : incoming_)
      if ((i.elf.soname == soname || io::base_of(i.path) == soname) && i.elf.same_machine(user) &&
          is_found(i))
        return true;
    if (!image_has(soname, user)) return false;
    const FoundLibrary& own = *image_.find(soname, user);
    for (const NeededVersion& need : user.needed_versions) {
      if (need.file != soname || ranges::contains(own.elf.defined_versions, need.version)) continue;
      plan_.notes.push_back(io::printable(own.path) + " of the image lacks " +
                            io::printable(need.version) + ", so the host's is injected");
      return false;
    }
    return true;
  }

  /// Plans to copy the libraries that injected programs need and that are missing in the image.
  void bring_libraries() {
    if (image_.libc() != Libc::glibc) return;  // check_versions() will refuse the programs
    for (const Incoming& user : std::exchange(bringing_, {}))
      bring(user.source, user.elf, [this](const std::string& soname, const ElfFile& needing) {
        return is_provided(soname, needing);
      });
  }

  /// Replaces the image's libfabric by the host's, with the libraries that the image lacks.
  void add_replacement(const Request& request, const ElfFile& elf) {
    const auto provided = [&](const std::string& soname, const ElfFile&) {
      return image_has(soname, elf) || ranges::contains(plan_.entries, soname, &Entry::name);
    };
    for (const Dependency& d : bring(request.path, elf, provided))
      loader_directories_.emplace(io::parent_of(d.path));
  }

  /// A provider's libraries stay on the host; the loader finds them when they are bound into the
  /// container.
  void add_provider(const Request& request, const ElfFile& elf) {
    const auto provided = [&](const std::string& soname, const ElfFile&) {
      return image_has(soname, elf);
    };
    for (const Dependency& d : host_dependencies(request.path, elf, host(), provided))
      if (!d.path.empty() && !d.is_provided) loader_directories_.emplace(io::parent_of(d.path));
  }

  /// Libraries are looked up by soname. ldconfig would make these links, too, but we have to record
  /// them.
  void add_soname_links() {
    for (const Incoming& i : incoming_) {
      const std::string directory(io::parent_of(i.path));
      const std::string name(io::base_of(i.path));
      const bool searched = ranges::contains(image_.directories(), directory);
      if (i.elf.soname.empty() || !io::is_plain_name(i.elf.soname)) continue;
      if (!searched && !(fabric_ && directory == *fabric_)) continue;
      // ldconfig ignores other names.
      if (searched && i.elf.soname.starts_with("lib") &&
          i.elf.soname.find(".so") != std::string::npos)
        plan_.expected.push_back({i.elf.soname, i.path});
      const bool taken = ranges::any_of(plan_.entries, [&](const Entry& e) {
        return e.directory == directory && e.name == i.elf.soname;
      });
      if (!taken)
        plan_.entries.push_back(
            {directory, i.elf.soname, action::Link{name}, "soname of " + io::printable(name)});
    }
  }

  void add_wanted_links() {
    for (Entry link : links_) {
      auto& target = std::get<action::Link>(link.action).target;
      const bool bare = target.find('/') == std::string::npos;
      const auto there =
          ranges::find(plan_.entries, std::string(io::base_of(target)), &Entry::name);
      if (there != plan_.entries.end() && !bare) target = there->path();
      link.directory = there != plan_.entries.end() && bare
                           ? there->directory
                           : needed_directory(link.directory, "for a link");
      if (ranges::none_of(plan_.entries, [&](const Entry& e) { return e.path() == link.path(); }))
        plan_.entries.push_back(link);
    }
  }

  void add_fabric_support() {
    for (const std::string& path : cray_mount_points(settings_.cray))
      (void)needed_directory(path, "mount point for Cray's software");
    if (settings_.has_fi_provider)
      plan_.warnings.emplace_back(
          "FI_PROVIDER is set, and inherited by containers: libfabric "
          "will use that provider only");
    for (const char* name : {"FI_PROVIDER", "FI_PROVIDER_PATH"})
      if (image_sets(tree_, name))
        plan_.warnings.push_back("the image's ch/environment sets " + std::string(name) +
                                 ", which decides what libfabric loads");
    if (loader_directories_.empty()) return;
    write_line("/etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf");
    const std::string lines = io::join(loader_directories_, "\n");
    const std::string place = tree_.locate(fabric_configuration);
    plan_.entries.push_back({needed_directory(std::string(io::parent_of(place)), "for the loader"),
                             std::string(io::base_of(place)), action::Text{lines + '\n'},
                             "directories of libfabric's host libraries"});
    plan_.needs_ldconfig = true;
  }

  /// Adds `line` to the image's file unless it has it.
  void write_line(const std::string& path, const std::string& line) {
    const std::string text = tree_.read(path).value_or("");
    if (ranges::contains(configuration_lines(text), line)) return;
    const std::string place = tree_.locate(path);
    plan_.entries.push_back({needed_directory(std::string(io::parent_of(place)), "for the loader"),
                             std::string(io::base_of(place)), action::Text{line + '\n' + text},
                             "makes the loader read ch-ofi.conf"});
  }

  const ImageTree& tree_;
  Manifest before_;
  ImageLibraries image_;
  HostSettings settings_;
  std::optional<ImageTree> host_tree_;
  std::optional<ImageLibraries> host_;
  std::optional<std::string> fabric_;
  bool uses_fabric_ = false;
  WithLibraries with_;
  std::vector<Incoming> incoming_;
  std::vector<Incoming> bringing_;     // those of them that bring the libraries they need
  std::vector<std::string> left_out_;  // sonames of the C library's parts
  std::vector<Entry> links_;           // requested, with unresolved paths
  std::set<std::string> loader_directories_;
  InjectionPlan plan_;
};

}  // namespace ch::injection
