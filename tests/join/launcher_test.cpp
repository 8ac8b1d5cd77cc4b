// SPDX-License-Identifier: Apache-2.0
//
// What ch-run takes from the variables of MPI launchers and schedulers.

#include "apps/ch-run/join.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "ch/kernel/recording.hpp"

using namespace ch;

namespace {

struct Chosen {
  bool ok = false;
  std::uint32_t count = 0;
  int rank = no_rank;
  std::string tag;
  std::string problem;
};

/// The join strategy that is chosen with these variables.
Chosen choose(std::vector<const char*> variables, ch_run::JoinOptions options = {}) {
  variables.push_back(nullptr);
  ArenaOf<65536> arena;
  kernel::Recording<> k;
  Environment environment(arena, variables.data());
  options.wanted = true;
  ChosenJoin join;
  TextBuffer<256> problem;
  Chosen c;
  c.ok = ch_run::choose_join(k, options, environment, arena, join, problem);
  c.problem = problem.view();
  if (const auto* group = std::get_if<PeerGroup>(&join.choice)) {
    c.count = group->count;
    c.rank = group->rank;
    c.tag = group->tag.view();
  }
  return c;
}

}  // namespace

TEST_CASE("each launcher tells count, rank and group", "[pure]") {
  const auto ompi = choose({"OMPI_COMM_WORLD_LOCAL_SIZE=4", "OMPI_COMM_WORLD_LOCAL_RANK=3",
                            "PMIX_NAMESPACE=3518627841", "SLURM_STEP_TASKS_PER_NODE=9",
                            "SLURM_JOB_ID=1", "SLURM_STEP_ID=0"});
  CHECK((ompi.count == 4 && ompi.rank == 3 && ompi.tag == "3518627841"));
  const auto hydra =
      choose({"MPI_LOCALNRANKS=2", "MPI_LOCALRANKID=1", "SLURM_JOB_ID=1", "SLURM_STEP_ID=0"});
  CHECK((hydra.count == 2 && hydra.rank == 1 && hydra.tag == "parent-0"));
  const auto slurm = choose({"SLURM_STEP_TASKS_PER_NODE=8", "SLURM_LOCALID=5", "SLURM_JOB_ID=77",
                             "SLURM_STEP_ID=0", "SLURM_CPUS_ON_NODE=2"});
  CHECK((slurm.count == 8 && slurm.rank == 5 && slurm.tag == "77.0"));
  const auto pals = choose({"PALS_LOCAL_SIZE=6", "PALS_LOCAL_RANKID=0", "PALS_APID=a-b-c"});
  CHECK((pals.count == 6 && pals.rank == 0 && pals.tag == "a-b-c"));
  const auto cray = choose({"PMI_LOCAL_SIZE=3", "PMI_LOCAL_RANK=2"});
  CHECK((cray.count == 3 && cray.rank == 2));
  const auto lsf = choose({"JSM_NAMESPACE_LOCAL_SIZE=42", "JSM_NAMESPACE_LOCAL_RANK=41"});
  CHECK((lsf.count == 42 && lsf.rank == 41));
  const auto flux =
      choose({"FLUX_JOB_SIZE=4", "FLUX_JOB_NNODES=1", "FLUX_TASK_LOCAL_ID=2", "FLUX_JOB_ID=f2xT"});
  CHECK((flux.count == 4 && flux.rank == 2 && flux.tag == "f2xT"));
}

TEST_CASE("a job on many nodes counts the tasks of this one", "[pure]") {
  CHECK(choose({"SLURM_STEP_TASKS_PER_NODE=4,2(x3),1", "SLURM_NODEID=0"}).count == 4);
  CHECK(choose({"SLURM_STEP_TASKS_PER_NODE=4,2(x3),1", "SLURM_NODEID=3"}).count == 2);
  CHECK(choose({"SLURM_STEP_TASKS_PER_NODE=4,2(x3),1", "SLURM_NODEID=4"}).count == 1);
  CHECK(choose({"SLURM_STEP_TASKS_PER_NODE=2(x3)"}).count == 2);
  CHECK_FALSE(choose({"FLUX_JOB_SIZE=8", "FLUX_JOB_NNODES=2"}).ok);
  std::uint64_t n = 0;
  for (const char* bad : {"", "x", "2(x", "2(x)", "(x3)", "2(x99999999999999999999)", ",", "-1"})
    CHECK_FALSE(ch_run::entry_for_node(bad, 0, n));
}

TEST_CASE("options win over variables, and what is missing is requested", "[pure]") {
  ch_run::JoinOptions options;
  options.count = 3;
  options.tag = "mine";
  const auto given = choose({"OMPI_COMM_WORLD_LOCAL_SIZE=4", "PMIX_NAMESPACE=1"}, options);
  CHECK((given.count == 3 && given.tag == "mine"));
  const auto none = choose({"HOME=/"});
  CHECK_FALSE(none.ok);
  CHECK(none.problem.find("give --join-ct") != std::string::npos);
  CHECK_FALSE(choose({"OMPI_COMM_WORLD_LOCAL_SIZE=0"}).ok);
  CHECK_FALSE(choose({"OMPI_COMM_WORLD_LOCAL_SIZE=many"}).ok);
  CHECK(choose({"SLURM_CPUS_ON_NODE=2"}).count == 2);
}

TEST_CASE("any job name becomes a tag", "[pure]") {
  const std::string name = "PMIX_NAMESPACE=a b\n" + std::string(80, 'x') + "@1";
  const auto odd = choose({"OMPI_COMM_WORLD_LOCAL_SIZE=2", name.c_str()});
  CHECK(is_tag(odd.tag));
  CHECK(odd.tag.substr(odd.tag.size() - 2) == "@1");
  const auto spaced = choose({"OMPI_COMM_WORLD_LOCAL_SIZE=2", "PMIX_NAMESPACE=a b"});
  CHECK(is_tag(spaced.tag));
  CHECK(spaced.tag.substr(spaced.tag.size() - 4) == "~a_b");
  CHECK(spaced.tag != choose({"OMPI_COMM_WORLD_LOCAL_SIZE=2", "PMIX_NAMESPACE=a\nb"}).tag);
  CHECK(choose({"OMPI_COMM_WORLD_LOCAL_SIZE=2", "PMIX_NAMESPACE=a_b"}).tag == "a_b");
}
