"""Start, kill and stop Ray nodes on this machine, to try out a cluster.

python cluster/local/nodes.py up --workers 2
python cluster/local/nodes.py kill worker-1
python cluster/local/nodes.py down
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from local_cluster import HOST, LocalCluster, LocalClusterError  # this script's own folder


def parse_arguments() -> argparse.Namespace:
    """Return the command and its options."""
    parser = argparse.ArgumentParser(description="Several Ray nodes on this machine.")
    folder = Path(tempfile.gettempdir()) / f"adaptune-{os.getuid()}"
    parser.add_argument(
        "--folder",
        type=Path,
        default=folder,
        help="folder of the cluster, a short path (default: %(default)s)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start a head without CPUs, and workers")
    up.add_argument(
        "--workers", type=int, default=2, help="number of workers (default: %(default)s)"
    )
    up.add_argument("--port", type=int, default=6399)
    up.add_argument("--dashboard-port", type=int, default=8275)
    add = commands.add_parser("add", help="start one more worker")
    for command in (up, add):
        command.add_argument(
            "--cpus", type=int, default=1, help="CPUs per worker (default: %(default)s)"
        )
    kill = commands.add_parser("kill", help="kill a node, as a power failure would")
    kill.add_argument("name", help="worker-1, head, …")
    commands.add_parser("down", help="stop all nodes and remove the folder")
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> None:
    """Carry out the command.

    Raises:
        LocalClusterError: the command is not possible.
    """
    if arguments.command == "up":
        cluster = LocalCluster(arguments.folder, arguments.port, arguments.dashboard_port)
        cluster.up(arguments.workers, arguments.cpus)
        print_instructions(cluster)
        return
    cluster = LocalCluster.open_existing(arguments.folder)
    if arguments.command == "add":
        print(cluster.add(arguments.cpus))
    elif arguments.command == "kill":
        cluster.kill(arguments.name)
    else:
        cluster.down()


def print_instructions(cluster: LocalCluster) -> None:
    """Print how to start a search on the cluster and where its dashboard is."""
    names = ", ".join(node.name for node in cluster.nodes())
    print(f"{names} are up. To start a search:")
    print(f"  source {cluster.folder}/env.sh")
    print(f"  python run_search.py --space cycada.yaml --address {cluster.address}")
    print(f"Dashboard: http://{HOST}:{cluster.dashboard_port} (the token is in {cluster.token})")


def main() -> int:
    """Run the command line and return the exit status: 2 after an error, otherwise 0."""
    try:
        run(parse_arguments())
    except LocalClusterError as error:
        print(f"nodes: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
