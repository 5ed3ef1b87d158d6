#!/usr/bin/env bash
# Create a folder that only you can enter, for Ray's sockets: a user who can write to them controls
# your processes. Other users can guess its name and create it first, so a folder that exists is
# accepted only if it is yours and closed to others.
#
#   cluster/private_folder.sh FOLDER
set -euo pipefail

folder=$1
mkdir -m 700 "$folder" 2> /dev/null && exit
if [[ -L $folder || ! -d $folder || ! -O $folder || $(stat --format=%a "$folder") != 700 ]]; then
    echo "$folder exists and is not a folder that only you can enter: remove it" >&2
    exit 1
fi
