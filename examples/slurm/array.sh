#!/usr/bin/env bash
#SBATCH --job-name=lipbench
#SBATCH --array=0-7
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=12:00:00
#SBATCH --output=lipbench-%A_%a.log
# One shard of a benchmark: the clips whose id falls to this task. `submit.sh` starts it with its merge behind it.
#     sbatch --array=0-7 array.sh RUN_FILE RUN_DIRECTORY
# RUN_DIRECTORY lies on a file system that all nodes see. A task that is killed or runs out of time is started again by
# the same command: finished stages are kept.
set -euo pipefail
lipbench run "$1" --out "$2" --shard "$((SLURM_ARRAY_TASK_ID + 1))/$SLURM_ARRAY_TASK_COUNT" \
  --workers "${SLURM_CPUS_PER_TASK:-1}" || code=$?
# 2: no clip falls to this shard; with few clips that is no fault. A wrong run file ends the merge with the same code.
[ "${code:-0}" -eq 2 ] || exit "${code:-0}"
