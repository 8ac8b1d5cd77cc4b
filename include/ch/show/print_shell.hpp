// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. A plan as a shell script of util-linux commands: unshare, mount, pivot_root.
// Running it makes the same container, so that a student can stop half-way, look around and change
// things. Its comments state its limits: mount(8) requires root (hence a second user namespace at
// the end), works on paths (links in the image are followed) and can't make detached trees.
// Source: man 1 unshare, nsenter; man 8 mount, pivot_root.
#pragma once

#include "ch/plan/mount_point.hpp"
#include "ch/show/print_text.hpp"
#include "ch/show/shell_words.hpp"

namespace ch {

namespace detail {

/// What the script needs to know of the whole plan before its first line.
struct ShellOutline {
  NamespaceFlags flags{};
  bool joins = false;
  Pid target = Pid::none;  // whose namespaces
  Uid uid{};
  Gid gid{};
  bool several_ids = false;
  bool scratch = false;
  bool image = false;
  bool writable = false;    // the image itself
  bool layer = false;       // there is an Overlay step, which creates what is missing
  bool may_create = false;  // a step may create mount points or links
  std::span<const Step> steps{};

  explicit ShellOutline(std::span<const Step> all) noexcept : steps(all) {
    for (const Step& step : steps) {
      if (const auto* creates = std::get_if<step::CreateNamespaces>(&step)) flags = creates->flags;
      if (const auto* joined = std::get_if<step::JoinNamespaces>(&step)) {
        flags = flags | joined->flags;
        joins = true;
        target = joined->pid;
      }
      if (const auto* maps = std::get_if<step::MapUsers>(&step)) uid = maps->range.inside;
      if (const auto* maps = std::get_if<step::MapUsers>(&step)) several_ids = !maps->more.empty();
      if (const auto* maps = std::get_if<step::MapGroups>(&step)) gid = maps->range.inside;
      scratch = scratch || std::holds_alternative<step::MakeScratch>(step);
      if (const auto* opens = std::get_if<step::OpenImage>(&step)) {
        image = true;
        writable = opens->access == Access::read_write;
      }
      layer = layer || std::holds_alternative<step::Overlay>(step);
      may_create = may_create || std::holds_alternative<step::MakeLink>(step) ||
                   CreatedMountPoint(step).wanted;
    }
  }
  [[nodiscard]] bool has_user_namespace() const noexcept {
    return contains(flags, static_cast<NamespaceFlags>(kernel::clone_newuser));
  }
  [[nodiscard]] bool drops_root() const noexcept {
    return has_user_namespace() && !joins && (uid != Uid::root || gid != Gid::root);
  }
};

/// The command that puts a shell into the namespaces.
template <class Sink>
void shell_namespaces(const ShellOutline& outline, Sink& sink) {
  sink(outline.joins ? "nsenter --preserve-credentials" : "unshare");
  if (outline.target != Pid::none) {
    TextBuffer<32> target;
    target << " --target=" << static_cast<int>(outline.target);
    sink(target.view());
  }
  for (const Step& step : outline.steps) {
    const auto* creates = std::get_if<step::CreateNamespaces>(&step);
    const auto* joined = std::get_if<step::JoinNamespaces>(&step);
    if (creates == nullptr && joined == nullptr) continue;
    for (const NamespaceKind& kind : namespace_kinds) {
      if (!contains(joined != nullptr ? joined->flags : creates->flags, kind.flag)) continue;
      sink(" --");
      sink(std::string_view(kind.name) == "mnt" ? "mount" : kind.name);
      if (joined == nullptr || joined->file.empty()) continue;
      sink("=");
      shell_word(sink, joined->file.view());
    }
  }
  if (outline.joins) return;
  if (outline.has_user_namespace())
    sink(outline.several_ids ? " --map-auto --map-root-user" : " --map-root-user");
  if (contains(outline.flags, static_cast<NamespaceFlags>(kernel::clone_newpid))) sink(" --fork");
}

/// The commands of each step.
template <class Sink>
struct StepShell {
  Sink& sink;
  const ShellOutline& outline;
  const char* const* environ;

  void operator()(const step::CreateNamespaces&) const {}  // done by the script's first stage
  void operator()(const step::JoinNamespaces&) const {}
  void operator()(const step::MeetPeers&) const {
    sink(
        "# This is the creator's part. Others of the group would run: nsenter --user --mount\n"
        "# --preserve-credentials --target=PID, with the number of this process.\n");
  }
  void operator()(const step::AdmitPeers&) const {}
  void operator()(const step::DenySetgroups&) const {}
  void operator()(const step::MapUsers&) const {}
  void operator()(const step::MapGroups&) const {}
  void operator()(const step::MakePrivate&) const { sink("mount --make-rprivate /\n"); }
  void operator()(const step::OpenImage& s) const {
    sink("new=$(cd -- ");
    shell_word(sink, s.image.view());
    sink(" && pwd -P)\nmount --rbind -- \"$new\" \"$new\"\nmount -o remount,bind,nosuid");
    if (s.access == Access::read_only) sink(",ro");
    sink(" -- \"$new\"\n");
  }
  void operator()(const step::MakeScratch& s) const {
    sink("mount -t tmpfs -o nosuid,nodev");
    if (!s.size.empty()) {
      sink(",size=");
      sink(s.size.view());
    }
    sink(" scratch \"$scratch\"\n");
  }
  void operator()(const step::Overlay& s) const {
    const bool if_needed = s.kind == OverlayKind::if_needed;
    if (if_needed && (outline.writable || !outline.may_create)) {
      for (const Step& step : outline.steps) make_before(step, "\"$new\"");
      return;
    }
    sink("layer=");
    if (s.kind == OverlayKind::directory)
      shell_word(sink, s.directory.view());
    else
      sink("$scratch/overlay");
    sink(
        "\nmkdir -p -- \"$layer/upper\" \"$layer/work\"\n"
        "layer=$(cd -- \"$layer\" && pwd -P)\n");
    for (const Step& step : outline.steps) make_before(step, "\"$layer/upper\"");
    if (if_needed) sink("[ -z \"$(ls -A -- \"$layer/upper\")\" ] ||  # nothing was missing\n  ");
    sink(
        "mount -t overlay -o \"nosuid,nodev,userxattr,lowerdir=$new,upperdir=$layer/upper,"
        "workdir=$layer/work");
    if (s.kind == OverlayKind::directory) sink(",index=on");
    sink(if_needed ? ",ro\" overlay \"$new\"\n" : "\" overlay \"$new\"\n");
  }
  void operator()(const step::SetHostname& s) const {
    sink("hostname -- ");
    shell_word(sink, s.name.view());
    sink("\n");
  }
  void operator()(const step::MakeScratchDirectory& s) const {
    sink("mkdir -- \"$scratch\"/");
    shell_word(sink, s.path.view());
    sink("\n");
  }
  void operator()(const step::WriteScratchFile& s) const {
    sink("printf ");
    if (s.content.find('\0') == std::string_view::npos) {
      sink("%s ");
      shell_word(sink, s.content);
    } else {
      shell_bytes(sink, s.content);
    }
    sink(" > \"$scratch\"/");
    shell_word(sink, s.path.view());
    sink("\n");
  }
  void operator()(const step::MakeLink& s) const { make_now(s, s.destination); }
  void operator()(const step::Bind& s) const {
    make_now(s, s.destination);
    bind("", s.source.view(), s.destination.view(), s.access, s.if_missing);
  }
  void operator()(const step::BindScratch& s) const {
    make_now(s, s.destination);
    bind("\"$scratch\"/", s.source.view(), s.destination.view(), s.access, s.if_missing);
  }
  void operator()(const step::MountFilesystem& s) const {
    make_now(s, s.destination);
    sink("mount -t ");
    shell_word(sink, s.type.view());
    sink(" -o nosuid,nodev none \"$new\"");
    shell_word(sink, s.destination.view());
    sink("\n");
  }
  void operator()(const step::EnterRoot&) const {
    sink(
        "mount --make-rprivate -- \"$new\"\n"
        "# From pivot_root on, / is the image. Two host programs are still needed (umount,\n"
        "# unshare): descriptor 9 keeps the host's root, and they run with the host's loader.\n"
        "loader=$(ldd \"$(command -v unshare)\" | sed -n 's,^[[:space:]]*\\(/[^ ]*/ld[-0-9.a-z_]*"
        "\\.so[^ ]*\\) (.*,\\1,p')\n"
        "libs=$(ldd \"$(command -v umount)\" \"$(command -v unshare)\" | sed -n "
        "'s,.*=> \\(/.*\\)/[^/]* (.*,/proc/self/fd/9\\1,p' | sort -u | paste -s -d: -)\n"
        "umount=/proc/self/fd/9$(readlink -f \"$(command -v umount)\")\n"
        "unshare=/proc/self/fd/9$(readlink -f \"$(command -v unshare)\")\n"
        "loader=/proc/self/fd/9$(readlink -f \"$loader\")\n"
        "exec 9</\n"
        "cd -- \"$new\"\n"
        "pivot_root . .\n"
        "\"$loader\" --library-path \"$libs\" \"$umount\" -l .\n"
        "cd /\n");
  }
  void operator()(const step::ChangeDirectory& s) const {
    sink("cd -- ");
    shell_word(sink, s.path.view());
    sink(s.if_missing == IfMissing::skip ? " 2>/dev/null || :\n" : "\n");
  }
  void operator()(const step::InstallFilter&) const {
    sink("# A seccomp filter would be installed here; no shell command can.\n");
  }
  void operator()(const step::ForbidNewPrivileges&) const {
    sink("# no_new_privs: setpriv --no-new-privs, where the image has it\n");
  }
  void operator()(const step::Redirect& s) const {
    TextBuffer<64> line;
    line << "# exec " << static_cast<int>(s.to) << ">&" << static_cast<int>(s.from)
         << "  (a descriptor of the program that planned this)\n";
    sink(line.view());
  }
  void operator()(const step::CloseDescriptors&) const {}  // the shell opened only 9
  void operator()(const step::Execute& s) const {
    if (contains(outline.flags, static_cast<NamespaceFlags>(kernel::clone_newpid)))
      sink(
          "# The command becomes process 1: no shell is an init that reaps and passes signals "
          "on.\n");
    if (s.envp != nullptr && environ != nullptr) environment(s.envp);
    sink("PATH=");
    shell_word(sink, s.search_path);
    sink("; export PATH\n");
    sink("unset CHARLIE_STAGE scratch\nexec ");
    if (outline.image && outline.drops_root())
      sink("\"$loader\" --library-path \"$libs\" \"$unshare\" ");
    else if (outline.drops_root())
      sink("unshare ");
    if (outline.drops_root()) {
      TextBuffer<96> ids;
      ids << "--user --map-user=" << static_cast<unsigned>(outline.uid)
          << " --map-group=" << static_cast<unsigned>(outline.gid) << " -- ";
      sink(ids.view());
    }
    if (outline.image) sink("/bin/sh -c 'exec 9<&-; exec \"$@\"' sh ");
    if (s.argv == nullptr || *s.argv == nullptr) {
      shell_word(sink, s.name.view());
    } else {
      // The name to execute; argv[0] can't be set from a shell.
      shell_word(sink, s.name.view());
      for (const char* const* word = s.argv + 1; *word != nullptr; ++word) {
        sink(" ");
        shell_word(sink, *word);
      }
    }
    sink("\n");
  }

 private:
  /// Is `path` in a file system of the container's own, and so created when that is mounted?
  [[nodiscard]] bool is_own(ImagePath path) const {
    return !own_place(outline.steps, path.text).directory.empty();
  }
  /// Before anything is mounted.
  void make_before(const Step& step, const char* base) const {
    const auto* link = std::get_if<step::MakeLink>(&step);
    if (!is_own(link != nullptr ? link->destination : CreatedMountPoint(step).destination))
      make(step, base);
  }
  /// Just before it is used; in a layer it exists already.
  void make_now(const Step& step, ImagePath destination) const {
    if (!outline.layer || is_own(destination)) make(step, "\"$new\"");
  }
  /// The command that creates, below `base`, what `step` may create.
  void make(const Step& step, const char* base) const {
    const auto command = [&](const char* name, std::string_view of, ImagePath destination) {
      sink(name);
      sink(base);
      sink(" ");
      shell_word(sink, of);
      sink(" ");
      shell_word(sink, destination.view());
      sink("\n");
    };
    if (const auto* link = std::get_if<step::MakeLink>(&step))
      return command("link ", link->target.view(), link->destination);
    const CreatedMountPoint point(step);
    if (!point.wanted) return;
    // A model for the kind of the mount point; the scratch file system is still empty.
    const bool file = !point.scratch.empty() && is_scratch_file(outline.steps, point.scratch);
    const std::string_view like = file ? "/dev/null" : "/";
    command("point ", point.source.empty() ? like : point.source.view(), point.destination);
  }
  void bind(std::string_view prefix, std::string_view source, std::string_view destination,
            Access access, IfMissing if_missing) const {
    const auto from = [&] {
      sink(prefix);
      shell_word(sink, source);
    };
    const auto to = [&] {
      sink("\"$new\"");
      shell_word(sink, destination);
    };
    if (if_missing == IfMissing::skip) {
      sink("if [ -e ");
      from();
      sink(" ] && [ -e ");
      to();
      sink(" ]; then\n  ");
    }
    sink("mount --rbind -- ");
    from();
    sink(" ");
    to();
    if (access == Access::read_only) {
      sink(if_missing == IfMissing::skip ? "\n  " : "\n");
      sink("mount -o remount,bind,ro -- ");
      to();
    }
    sink(if_missing == IfMissing::skip ? "\nfi\n" : "\n");
  }

  static std::string_view name_of(std::string_view variable) noexcept {
    return head(variable, variable.find('='));
  }
  static std::string_view find(const char* const* variables, std::string_view name) noexcept {
    for (; *variables != nullptr; ++variables)
      if (name_of(*variables) == name) return *variables;
    return {};
  }
  /// Can a shell assign this name? It passes on other variables unchanged.
  static bool assignable(std::string_view name) noexcept {
    if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
    for (const char c : name) {
      const bool word =
          (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
      if (!word) return false;
    }
    return true;
  }
  /// The difference between the current environment and the program's.
  void environment(const char* const* envp) const {
    for (const char* const* old = environ; *old != nullptr; ++old) {
      const auto name = name_of(*old);
      if (!assignable(name) || !find(envp, name).empty()) continue;
      sink("unset ");
      sink(name);
      sink("\n");
    }
    for (const char* const* now = envp; *now != nullptr; ++now) {
      const auto name = name_of(*now);
      if (!assignable(name) || find(environ, name) == *now || name == "PATH") continue;
      sink("export ");
      sink(name);
      sink("=");
      shell_word(sink, tail(*now, name.size() + 1));
      sink("\n");
    }
  }
};

}  // namespace detail

/// Passes `sink(std::string_view)` a POSIX shell script that does what the plan does, for
/// util-linux 2.38 or newer. `environ` is the environment in which it will be started: only
/// differences are set; null leaves the environment alone.
template <class Sink>
void print_shell(const Plan& plan, Sink&& sink, const char* const* environ = nullptr) {
  const detail::ShellOutline outline(plan.steps);
  sink(
      "#!/bin/sh\n"
      "# A container, step by step, with util-linux. Save it, read it, run it: sh FILE.\n"
      "# Links inside the image are followed on the host here: use it with images you trust.\n"
      "set -eu\nPATH=$PATH:/usr/sbin:/sbin  # pivot_root is there\n"
      "if [ -z \"${CHARLIE_STAGE:-}\" ]; then\n");
  if (outline.scratch) sink("  scratch=$(mktemp -d -p /tmp); export scratch\n  status=0\n");
  sink(outline.scratch ? "  CHARLIE_STAGE=2 " : "  CHARLIE_STAGE=2 exec ");
  detail::shell_namespaces(outline, sink);
  sink(" -- /bin/sh \"$0\"");
  if (outline.scratch) sink(" || status=$?\n  rmdir \"$scratch\"\n  exit $status");
  sink("\nfi\n\n");
  if (outline.may_create)
    sink(
        "# point BASE LIKE PLACE: makes the mount point PLACE, unless the image has it, in BASE: "
        "a\n"
        "# directory or a file, as LIKE is one. link BASE TARGET PLACE: the same for a link.\n"
        "point() {\n"
        "  if [ -e \"$new$3\" ]; then return; fi\n"
        "  mkdir -p -- \"$(dirname -- \"$1$3\")\"\n"
        "  if [ -d \"$2\" ]; then mkdir -p -- \"$1$3\"; else : >> \"$1$3\"; fi\n"
        "}\n"
        "link() {\n"
        "  if [ \"$(readlink -- \"$new$3\")\" = \"$2\" ]; then return; fi\n"
        "  mkdir -p -- \"$(dirname -- \"$1$3\")\"\n"
        "  ln -sfn -- \"$2\" \"$1$3\"\n"
        "}\n\n");
  for (const Step& step : plan.steps)
    std::visit(detail::StepShell<std::remove_reference_t<Sink>>{sink, outline, environ}, step);
}

}  // namespace ch
