#!/usr/bin/env bash
# Run a command on one node of a job, with the folder $RAY_TMPDIR for Ray's files. The folder is
# removed when the command ends.
#
#   cluster/slurm/node.sh COMMAND [ARGUMENT]…
set -uo pipefail

"$(dirname "$0")/../private_folder.sh" "$RAY_TMPDIR" || exit 1
trap 'rm -rf "$RAY_TMPDIR"' EXIT
trap : TERM # Slurm sends it to the command as well: wait for its end before the folder is removed
"$@"
