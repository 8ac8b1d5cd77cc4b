// SPDX-License-Identifier: Apache-2.0
//
//   pingpong FOLDER
//
// Two MPI ranks, each on its own core, that send messages of 1 MiB back and forth when they are
// told to, and sleep otherwise, so that several such pairs can take turns on two cores. A byte in
// FOLDER/go.RANK, a FIFO for each rank, starts one series; rank 0 then writes a line with the
// GB/s to FOLDER/said. End of file on the FIFOs ends the program.

#include <fcntl.h>
#include <mpi.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

namespace {

constexpr int bytes = 1 << 20;

/// Pins this process to the `rank`-th of the cores that it may use.
void pin(int rank) {
  cpu_set_t allowed;
  sched_getaffinity(0, sizeof allowed, &allowed);
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || rank-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

void trips(int rank, std::vector<char>& data, int count) {
  for (int i = 0; i < count; ++i) {
    if (rank == 0) MPI_Send(data.data(), bytes, MPI_CHAR, 1, 0, MPI_COMM_WORLD);
    MPI_Recv(data.data(), bytes, MPI_CHAR, 1 - rank, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if (rank == 1) MPI_Send(data.data(), bytes, MPI_CHAR, 0, 0, MPI_COMM_WORLD);
  }
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  int size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (argc != 2 || size != 2) MPI_Abort(MPI_COMM_WORLD, 64);
  const std::string folder = argv[1];
  pin(rank);
  std::vector<char> data(bytes, static_cast<char>(rank));
  const int go = open((folder + "/go." + std::to_string(rank)).c_str(), O_RDONLY);
  const int said = rank == 0 ? open((folder + "/said").c_str(), O_WRONLY) : -1;
  for (char word = 0; read(go, &word, 1) == 1;) {
    trips(rank, data, 3);  // to warm up caches and clock frequency
    MPI_Barrier(MPI_COMM_WORLD);
    constexpr int count = 40;
    const double begun = MPI_Wtime();
    trips(rank, data, count);
    const double taken = MPI_Wtime() - begun;
    if (rank == 0) dprintf(said, "%.4f\n", 2.0 * count * bytes / taken / 1e9);
  }
  MPI_Finalize();
  return 0;
}
