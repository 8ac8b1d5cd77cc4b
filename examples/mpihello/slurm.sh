#!/bin/bash
#SBATCH --job-name=mpihello
#SBATCH --nodes=1
#SBATCH --ntasks=4
#SBATCH --time=00:05:00
# SPDX-License-Identifier: Apache-2.0
#
#   sbatch slurm.sh IMAGE
#
# Runs the ranks of hello.cpp, which is /hello/hello in the image, in one container on each
# node. Slurm starts them, and --join learns from Slurm's variables which belong together.
srun --mpi=pmix ch-run --join --set-env=PMIX_MCA_gds=hash "$1" -- /hello/hello
