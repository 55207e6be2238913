#!/usr/bin/env bash
#SBATCH --job-name=lipbench-merge
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=02:00:00
#SBATCH --output=lipbench-merge-%j.log
# After the array: finds the stages of all shards in the run directory, does what a lost shard left, writes the table.
#     sbatch merge.sh RUN_FILE RUN_DIRECTORY
set -euo pipefail
lipbench run "$1" --out "$2" --workers "${SLURM_CPUS_PER_TASK:-1}"
lipbench table "$2" --format csv >"$2/table.csv"
