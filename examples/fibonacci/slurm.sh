#!/bin/bash
#SBATCH --job-name=fibonacci
#SBATCH --output=%x-%J.out
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --time=00:01:00
# SPDX-License-Identifier: Apache-2.0
#
#   sbatch slurm.sh IMAGE
#
# Runs a serial program from an image on a node of the cluster.
ch-run "$1" -- perl /src/fib.pl 10
