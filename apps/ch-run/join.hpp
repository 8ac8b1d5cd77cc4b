// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. Which processes share the container: from the options and, where those don't say, from
// the variables that MPI launchers and schedulers set. The three tables here are all that ch-run
// knows about them; docs/join.md repeats them.
// Source: Open MPI, "Environment variables set for MPI applications"; MPICH hydra; Slurm,
// man 1 srun, "OUTPUT ENVIRONMENT VARIABLES"; flux-environment(7); IBM jsrun.
#pragma once

#include "apps/ch-run/options.hpp"
#include "ch/environment.hpp"
#include "ch/plan/attach.hpp"
#include "ch/plan/fingerprint.hpp"
#include "ch/types/errno_text.hpp"

namespace ch_run {

/// How many processes of the job are on this machine; the first that is set wins. `only_if_one`:
/// the count is for the whole job, valid only if this variable is 1.
struct CountSource {
  const char* variable;
  const char* only_if_one;
};
inline constexpr CountSource count_sources[] = {
    {"OMPI_COMM_WORLD_LOCAL_SIZE", nullptr},  // Open MPI, PRRTE
    {"MPI_LOCALNRANKS", nullptr},             // hydra: MPICH, Intel MPI
    {"MV2_COMM_WORLD_LOCAL_SIZE", nullptr},   // MVAPICH
    {"PMI_LOCAL_SIZE", nullptr},              // Cray PMI
    {"PALS_LOCAL_SIZE", nullptr},             // HPE PALS
    {"JSM_NAMESPACE_LOCAL_SIZE", nullptr},    // LSF, jsrun
    {"FLUX_JOB_SIZE", "FLUX_JOB_NNODES"},     // Flux
    {"SLURM_STEP_TASKS_PER_NODE", nullptr},   // Slurm, srun
    {"SLURM_CPUS_ON_NODE", nullptr},          // not a count of processes, but better than nothing
};

/// The number of this process among them, for messages.
inline constexpr const char* rank_sources[] = {
    "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID",
    "MV2_COMM_WORLD_LOCAL_RANK",  "PMI_LOCAL_RANK",
    "PALS_LOCAL_RANKID",          "JSM_NAMESPACE_LOCAL_RANK",
    "FLUX_TASK_LOCAL_ID",         "SLURM_LOCALID"};

/// What distinguishes concurrent jobs: a launcher's own name first, since several of them may run
/// in one step of a scheduler. No name: the parent process.
struct TagSource {
  const char* if_set;
  const char* name;
  const char* more;
};
inline constexpr TagSource tag_sources[] = {
    {"PMIX_NAMESPACE", "PMIX_NAMESPACE", nullptr},
    {"MPI_LOCALNRANKS", nullptr, nullptr},
    {"MV2_COMM_WORLD_LOCAL_SIZE", nullptr, nullptr},
    {"PALS_APID", "PALS_APID", nullptr},
    {"FLUX_JOB_ID", "FLUX_JOB_ID", nullptr},
    {"SLURM_STEP_ID", "SLURM_JOB_ID", "SLURM_STEP_ID"},  // steps are numbered from 0 in every job
};

/// The entry for node `node` in a list such as "4,2(x3)", which means 4,2,2,2, as Slurm writes for
/// several nodes. False: there is none.
constexpr bool entry_for_node(std::string_view list, std::uint64_t node,
                              std::uint64_t& out) noexcept {
  while (!list.empty()) {
    const std::string_view entry = ch::head(list, list.find(','));
    list = ch::tail(list, entry.size() + 1);
    const auto open = entry.find("(x");
    std::uint64_t times = 1;
    if (open != std::string_view::npos) {
      const std::string_view repeated = ch::tail(entry, open + 2);
      if (!ch::parse_number(ch::head(repeated, repeated.find(')')), 1'000'000, times)) return false;
    }
    if (node < times) return ch::parse_number(ch::head(entry, open), 65536, out);
    node -= times;
  }
  return false;
}

namespace detail {

inline bool count_from(const ch::Environment& environment, std::uint32_t& count) noexcept {
  std::uint64_t node = 0;
  const char* node_text = environment.get("SLURM_NODEID");
  if (node_text != nullptr && !ch::parse_number(node_text, 1'000'000, node)) node = 0;
  for (const CountSource& source : count_sources) {
    const char* text = environment.get(source.variable);
    if (text == nullptr) continue;
    if (source.only_if_one != nullptr) {
      const char* other = environment.get(source.only_if_one);
      if (other == nullptr || std::string_view(other) != "1") continue;
    }
    std::uint64_t value = 0;
    const bool listed = std::string_view(text).find_first_of("(,") != std::string_view::npos;
    if (!entry_for_node(text, listed ? node : 0, value) || value == 0) continue;
    count = static_cast<std::uint32_t>(value);
    return true;
  }
  return false;
}

inline int rank_from(const ch::Environment& environment) noexcept {
  for (const char* variable : rank_sources) {
    std::uint64_t rank = 0;
    const char* text = environment.get(variable);
    if (text != nullptr && ch::parse_number(text, 65535, rank)) return static_cast<int>(rank);
  }
  return ch::no_rank;
}

/// Makes a valid tag from a name. If the name is too long or has characters that are not allowed,
/// the tag is a hash of it and its end, which differs more than its beginning, so that different
/// names don't get the same tag.
inline ch::ZString fit(const char* name, ch::Arena& arena) noexcept {
  if (name == nullptr) return {};
  const std::string_view whole(name);
  ch::TextBuffer<65> tag;
  if (ch::is_tag(whole)) {
    tag << whole;
  } else {
    std::uint64_t number = 0xcbf29ce484222325ULL;
    ch::detail::mix(number, whole);
    tag << number << '~';
    const std::size_t room = 64 - tag.view().size();
    for (const char c : ch::tail(whole, whole.size() > room ? whole.size() - room : 0))
      tag << (c > ' ' && c <= '~' ? c : '_');
  }
  const char* copy = arena.join(tag.view());
  return copy == nullptr ? ch::ZString() : copy;
}

template <ch::kernel::Kernel K>
ch::ZString tag_from(K& k, const ch::Environment& environment, ch::Arena& arena) noexcept {
  for (const TagSource& source : tag_sources) {
    if (environment.get(source.if_set) == nullptr) continue;
    if (source.name == nullptr) break;
    const char* name = environment.get(source.name);
    const char* more = source.more == nullptr ? "" : environment.get(source.more);
    if (name == nullptr || *name == '\0' || more == nullptr) continue;
    return fit(*more == '\0' ? name : arena.join(name, ".", more), arena);
  }
  ch::TextBuffer<24> parent;
  parent << "parent-" << static_cast<int>(ch::kernel::getppid(k).value());
  return fit(parent.c_str(), arena);
}

}  // namespace detail

/// Chooses the strategy. False: `problem` says what is missing.
template <ch::kernel::Kernel K>
bool choose_join(K& k, const JoinOptions& o, const ch::Environment& environment, ch::Arena& arena,
                 ch::ChosenJoin& join, ch::TextWriter& problem) noexcept {
  if (o.pid != ch::Pid::none) {
    const auto target = ch::find_target(k, o.pid);
    if (target) {
      join.choice = ch::ChosenJoin::Choice(ch::AttachToPid{o.pid, target->pidfd, target->flags});
      return true;
    }
    problem << "can't join process " << static_cast<int>(o.pid) << ": ";
    if (target.error().code == ch::Errno::esrch)
      problem << "there is no process with this number (any more)";
    else if (target.error().code == ch::Errno::einval)
      problem << "it is not in a container: its namespaces are ours";
    else
      problem << target.error().code << ": is it another user's?";
    return false;
  }
  if (!o.wanted) return true;
  std::uint32_t count = o.count.value_or(1);
  if (!o.count && !detail::count_from(environment, count)) {
    problem << "--join: no launcher's variable says how many peers there are; give --join-ct";
    return false;
  }
  const ch::ZString tag = o.tag.empty() ? detail::tag_from(k, environment, arena) : o.tag;
  if (tag.empty()) {
    problem << "--join: no room for the tag";
    return false;
  }
  if (count == 0)
    join.choice = ch::ChosenJoin::Choice(ch::LivingTag{tag, o.timeout_s});
  else
    join.choice = ch::ChosenJoin::Choice(
        ch::PeerGroup{tag, count, detail::rank_from(environment), o.timeout_s});
  return true;
}

}  // namespace ch_run
