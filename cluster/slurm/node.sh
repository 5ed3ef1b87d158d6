#!/usr/bin/env bash
# Run a command on one node of a job, with the folder $RAY_TMPDIR for Ray's files. The folder is
# removed when the command ends. With ADAPTUNE_MPS=1, processes that share a GPU compute at the same
# time instead of by turns, through NVIDIA's Multi-Process Service.
#
#   cluster/slurm/node.sh COMMAND [ARGUMENT]…
set -uo pipefail

"$(dirname "$0")/../private_folder.sh" "$RAY_TMPDIR" || exit 1
trap 'rm -rf "$RAY_TMPDIR"' EXIT
if [[ ${ADAPTUNE_MPS:-0} == 1 ]]; then
    # The daemon of this job: one in the default folder may belong to another user.
    export CUDA_MPS_PIPE_DIRECTORY=$RAY_TMPDIR/mps CUDA_MPS_LOG_DIRECTORY=$RAY_TMPDIR/mps
    mkdir "$CUDA_MPS_PIPE_DIRECTORY"
    if ! nvidia-cuda-mps-control -d; then
        echo "NVIDIA's MPS did not start on $(hostname): submit the job without ADAPTUNE_MPS" >&2
        exit 1
    fi
    trap 'echo quit | nvidia-cuda-mps-control; rm -rf "$RAY_TMPDIR"' EXIT
fi
trap : TERM # Slurm sends it to the command as well: wait for its end before the folder is removed
"$@"
