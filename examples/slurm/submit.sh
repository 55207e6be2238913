#!/usr/bin/env bash
# A benchmark as a Slurm job array and a job that merges it:
#     submit.sh RUN_FILE RUN_DIRECTORY [SHARDS]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
shards=${3:-8}
array=$(sbatch --parsable --array="0-$((shards - 1))" "$here/array.sh" "$1" "$2")
# afterany: the merge does the work of a shard that died.
sbatch --dependency="afterany:${array%%;*}" "$here/merge.sh" "$1" "$2"
