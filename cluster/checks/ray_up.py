"""Checks of configurations for `ray up`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from cluster.checks.manifests import Json
from cluster.checks.text import check_image

# Trials must not run on the head, and its dashboard is reached through a tunnel.
HEAD_OPTIONS = {"--num-cpus=0", "--dashboard-host=127.0.0.1"}
START_COMMANDS = ("head_start_ray_commands", "worker_start_ray_commands")
# Without these options, a container runs as root, can become root, has no token, or loses results.
CONTAINER_OPTIONS = (
    "--user $(id -u):$(id -g)",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--env RAY_AUTH_MODE=token",
    "--volume /mnt/results:/results",
)
TOKEN_IS_PRIVATE = "chmod 600 ~/.ray/auth_token"
RESULTS_OWNER = "chown $(id -u):$(id -g) /mnt/results"
# ssh creates keys with these names for a user, and they usually open other machines as well.
PERSONAL_KEY = re.compile(r"id_\w+")


def check_ray_up_config(path: Path) -> Iterator[str]:
    """Yield a message for each fault in a file for `ray up`.

    Ray validates the file first.
    """
    # Ray takes seconds to import, and only this check needs it.
    from jsonschema import ValidationError as SchemaError
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load(path.read_text())
    try:
        validate_config(prepare_config(config))
    except (SchemaError, ValueError) as error:
        yield str(error).splitlines()[0]
        return
    yield from _check_token(config)
    if "docker" in config:
        yield from _check_container(config)
    if config["provider"]["type"] == "aws":
        yield from _check_instance_metadata(config)
    if config["provider"]["type"] == "local":
        yield from _check_own_machines(config)


def _check_token(config: Json) -> Iterator[str]:
    if not any(target.endswith("/.ray/auth_token") for target in config["file_mounts"]):
        yield "file_mounts has no ~/.ray/auth_token"
    commands = list(_ray_start_commands(config))
    if [key for key, _ in commands] != list(START_COMMANDS):
        yield f"{' and '.join(START_COMMANDS)} do not start Ray once each"
    for key, command in commands:
        if "RAY_AUTH_MODE=token" not in command:
            yield f"{key}: ray start without RAY_AUTH_MODE=token"
        if "--head" in command and not HEAD_OPTIONS.issubset(command.split()):
            yield f"{key}: the head needs --num-cpus=0 and --dashboard-host=127.0.0.1"


def _check_container(config: Json) -> Iterator[str]:
    yield from check_image(config["docker"]["image"])
    options = " ".join(config["docker"]["run_options"])
    for option in CONTAINER_OPTIONS:
        if option not in options:
            yield f"docker.run_options has no {option}"
    if not any(RESULTS_OWNER in command for command in config["initialization_commands"]):
        yield f"initialization_commands: no {RESULTS_OWNER}"


def _check_instance_metadata(config: Json) -> Iterator[str]:
    for name, node_type in config["available_node_types"].items():
        options = node_type["node_config"].get("MetadataOptions", {})
        if options.get("HttpTokens") != "required":
            yield f"{name}: MetadataOptions does not require IMDSv2 (HttpTokens: required)"


def _check_own_machines(config: Json) -> Iterator[str]:
    key = Path(config["auth"]["ssh_private_key"]).name
    if PERSONAL_KEY.fullmatch(key):
        yield f"auth.ssh_private_key: {key} is a personal key, which Ray would copy to the head"
    if TOKEN_IS_PRIVATE not in config["setup_commands"]:
        yield f"setup_commands: no {TOKEN_IS_PRIVATE}"
    for commands, command in _ray_start_commands(config):
        match = re.search(r"private_folder\.sh (\S+) ", command)
        if match is None or f"RAY_TMPDIR={match[1]} " not in command:
            yield f"{commands}: ray start without a RAY_TMPDIR from private_folder.sh"


def _ray_start_commands(config: Json) -> Iterator[tuple[str, str]]:
    for key in START_COMMANDS:
        for command in config.get(key, []):
            if "ray start" in command:
                yield key, command
