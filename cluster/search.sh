#!/usr/bin/env bash
# Start a search, or resume it if its folder contains one. A scheduler can run this script
# repeatedly.
#
#   cluster/search.sh FOLDER [arguments of run_search.py except --out and --name]
set -euo pipefail

if [[ $# -lt 1 || $1 == -* ]]; then
    echo "usage: $0 FOLDER [arguments of run_search.py]" >&2
    exit 2
fi
folder=$1
[[ $folder == /* ]] || folder=$PWD/$folder
shift
cd "$(dirname "$0")/.."
exec "${PYTHON:-python}" run_search.py --resume-if-begun \
    --out "$(dirname "$folder")" --name "$(basename "$folder")" "$@"
