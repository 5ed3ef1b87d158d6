#!/usr/bin/env bash
# Start or resume a search as the entrypoint of a RayJob. The arguments are those of search.sh.
#
# KubeRay retries a failed job with a new cluster, which does not help if the search refuses its
# input (exit status 2). In that case, this script stops its job: KubeRay does not retry a stopped
# job, and shows its status as STOPPED, not as SUCCEEDED.
set -uo pipefail

status=0
"$(dirname "$0")/../search.sh" "$@" || status=$?
if [[ $status != 2 ]]; then
    exit "$status"
fi
echo "rayjob.sh: the search was refused, see above. The job is stopped and not retried." >&2
job=$(sed -n 's/.*"job_submission_id": *"\([^"]*\)".*/\1/p' <<< "${RAY_JOB_CONFIG_JSON_ENV_VAR-}")
# RAY_ADDRESS is set in a job, and is not the address of the dashboard.
if ray job stop --no-wait --address http://127.0.0.1:8265 "$job"; then
    sleep 60 # until Ray stops this script
fi
exit 0 # a failure would cost another cluster
