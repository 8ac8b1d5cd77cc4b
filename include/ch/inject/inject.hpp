// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Injecting host files into an image, and taking them out again: the plan becomes a
// transaction, ldconfig runs, the record is written, and only then is it committed. ldconfig's
// container is made while files are copied, and the record while ldconfig runs.
// Source: ch-fromhost's manual page.
#pragma once

#include <new>
#include <range/v3/algorithm/all_of.hpp>
#include <range/v3/algorithm/any_of.hpp>
#include <range/v3/algorithm/contains.hpp>
#include <range/v3/view/reverse.hpp>

#include "ch/inject/interface.hpp"
#include "ch/inject/ldconfig.hpp"
#include "ch/inject/manifest.hpp"
#include "ch/inject/planner.hpp"
#include "ch/inject/transaction.hpp"

namespace ch::injection {

namespace detail {

inline std::string cache_path(const ImageTree& tree) { return tree.locate("/etc/ld.so.cache"); }
/// ldconfig's auxiliary cache. It is restored even after success: it is useless on another machine,
/// and an image should not change more than necessary.
inline std::string notes_path(const ImageTree& tree) {
  return tree.locate("/var/cache/ldconfig/aux-cache");
}

inline bool cache_is_complete(const ImageTree& tree, const std::vector<ExpectedLibrary>& expected) {
  const auto cache = parse_loader_cache(tree.read("/etc/ld.so.cache").value_or(""));
  return ranges::all_of(expected, [&cache](const ExpectedLibrary& e) {
    return ranges::contains(cache, e.soname, &CachedLibrary::soname);
  });
}

/// What ldconfig may write to.
inline std::vector<std::string> guarded(const ImageTree& tree, bool runs_ldconfig) {
  if (!runs_ldconfig) return {};
  const std::string cache = cache_path(tree);
  const std::string notes = notes_path(tree);
  return {cache, cache + '~', notes, notes + '~'};  // ldconfig writes to NAME~ and renames that
}

/// Waits for ldconfig, and removes what it leaves besides the cache. Returns directories that are
/// not needed.
inline std::vector<std::string> finish_guarded(LdconfigRun& ldconfig, const ImageTree& tree,
                                               Transaction& transaction,
                                               const std::atomic<bool>* stop) {
  (void)ldconfig.finish(stop);
  const std::string notes = notes_path(tree);
  transaction.put_back(notes);
  const std::string above(io::parent_of(notes));
  return transaction.made(above) ? std::vector{above} : std::vector<std::string>{};
}

/// Does `work`; if that fails, undoes everything. By then no process that `work` started can still
/// change the image.
template <class Work>
void all_or_nothing(Transaction& transaction, const Work& work) {
  try {
    return work();
  } catch (const io::Failed& e) {
    transaction.roll_back(e);
  } catch (const std::bad_alloc&) {
    transaction.roll_back(io::out_of_memory());
  }
}

}  // namespace detail

/// Carries out `plan` on top of what `before` records. All or nothing: when this throws, the
/// image is as it was. The image must be locked and recovered (ImageLock,
/// Transaction::recover). Forks (ldconfig).
inline void inject(const ImageTree& tree, const Manifest& before, InjectionPlan plan,
                   const InjectOptions& options, InjectReport& report) {
  report.has_run_ldconfig = false;
  const bool needed = plan.needs_ldconfig && options.ldconfig == Ldconfig::run;
  if (plan.does_nothing() && (!needed || detail::cache_is_complete(tree, plan.expected))) return;
  const std::size_t count = plan.entries.size();
  const std::string own = tree.locate(own_directory);
  plan.entries.push_back({own, manifest_name, action::Text{}, "the record of this injection"});

  Transaction transaction(tree, options.stop);
  detail::all_or_nothing(transaction, [&] {
    std::optional<LdconfigRun> ldconfig;
    if (needed) ldconfig.emplace(tree);
    const std::string cache = detail::cache_path(tree);
    const bool had_cache = static_cast<bool>(tree.try_open_file(cache));
    transaction.begin(plan, detail::guarded(tree, needed));
    transaction.put(plan, 0, count);
    if (ldconfig) ldconfig->start();

    Manifest after = before;
    if (before.items.empty()) after.had_loader_cache = had_cache;
    after.has_run_ldconfig = before.has_run_ldconfig || needed;
    if (transaction.made(own)) after.directories.push_back(own);
    for (const NewDirectory& d : plan.directories) after.directories.push_back(d.path);
    std::vector<std::uint64_t> keep;
    for (std::size_t i = 0; i < count; ++i) {
      const Entry& e = plan.entries[i];
      InjectedItem item{.path = e.path(), .source = {}, .target = {}, .reason = e.reason};
      if (const auto* copy = std::get_if<action::Copy>(&e.action)) item.source = copy->source;
      if (const auto* link = std::get_if<action::Link>(&e.action)) item.target = link->target;
      describe_present(tree, item);
      const auto older =
          std::find_if(after.items.begin(), after.items.end(),
                       [&item](const InjectedItem& o) { return o.path == item.path; });
      if (older != after.items.end()) {
        item.original = older->original;
        *older = std::move(item);
        continue;
      }
      if (transaction.existed(i)) {
        item.original = transaction.number(i);
        keep.push_back(item.original);
      }
      after.items.push_back(std::move(item));
    }
    std::get<action::Text>(plan.entries[count].action).content = to_text(after);
    transaction.put(plan, count, count + 1);
    std::vector<std::string> unneeded_directories;
    if (ldconfig) {
      unneeded_directories = detail::finish_guarded(*ldconfig, tree, transaction, options.stop);
      for (std::string& w : check_cache(tree, plan.expected))
        report.warnings.push_back(std::move(w));
      report.has_run_ldconfig = true;
    }
    for (std::string& w : transaction.commit(keep, {}, unneeded_directories))
      report.warnings.push_back(std::move(w));
    report.changed = true;
  });
}

/// The path at which the original with this number is kept.
[[nodiscard]] inline std::string kept_path(const ImageTree& tree, std::uint64_t number) {
  return tree.locate(own_directory) + '/' + kept_name + '/' + std::to_string(number);
}

/// The plan to take everything out again. Files that were changed since stay, and the originals
/// that they replaced stay kept.
[[nodiscard]] inline InjectionPlan plan_removal(const ImageTree& tree, const Manifest& manifest) {
  InjectionPlan plan;
  for (const InjectedItem& item : manifest.items | ranges::views::reverse) {
    const std::string directory(io::parent_of(item.path));
    if (!is_unchanged(tree, item)) {
      std::string text =
          io::printable(item.path) + " was changed since it was injected and is left as it is";
      if (item.original != 0)
        text +=
            ", and what it replaced is kept as " + io::printable(kept_path(tree, item.original));
      plan.warnings.push_back(std::move(text));
      continue;
    }
    Entry e{directory, std::string(io::base_of(item.path)), action::Erase{}, "it was injected"};
    if (item.original != 0) {
      e.action = action::Restore{item.original};
      e.reason = "as it was before the injection";
    }
    plan.entries.push_back(std::move(e));
  }
  plan.needs_ldconfig = manifest.has_run_ldconfig && manifest.had_loader_cache;
  return plan;
}

/// Takes out everything that `manifest` records. All or nothing, like inject().
inline void remove(const ImageTree& tree, const Manifest& manifest, InjectionPlan plan,
                   const InjectOptions& options, InjectReport& report) {
  report.has_run_ldconfig = false;
  if (manifest.items.empty()) return;
  if (manifest.has_run_ldconfig && !manifest.had_loader_cache)
    if (const std::string cache = detail::cache_path(tree); tree.try_open_file(cache))
      plan.entries.push_back({std::string(io::parent_of(cache)), std::string(io::base_of(cache)),
                              action::Erase{}, "the image had none"});
  plan.entries.push_back({tree.locate(own_directory), manifest_name, action::Erase{},
                          "nothing is injected any longer"});
  Transaction transaction(tree, options.stop);
  detail::all_or_nothing(transaction, [&] {
    std::optional<LdconfigRun> ldconfig;
    if (plan.needs_ldconfig && options.ldconfig == Ldconfig::run && find_ldconfig(tree))
      ldconfig.emplace(tree);
    transaction.begin(plan, detail::guarded(tree, ldconfig.has_value()));
    transaction.put(plan, 0, plan.entries.size());
    auto directories = manifest.directories;
    if (ldconfig) {
      ldconfig->start();
      for (std::string& d : detail::finish_guarded(*ldconfig, tree, transaction, options.stop))
        directories.push_back(std::move(d));
      report.has_run_ldconfig = true;
    }
    std::vector<std::uint64_t> unneeded;
    for (const InjectedItem& item : manifest.items)
      if (item.original != 0 &&
          ranges::any_of(plan.entries, [&item](const Entry& e) { return e.path() == item.path; }))
        unneeded.push_back(item.original);
    for (std::string& w : transaction.commit({}, unneeded, directories))
      report.warnings.push_back(std::move(w));
    report.changed = true;
  });
}

}  // namespace ch::injection
