"""Test runs that start servers at the same time do not take each other's ports."""

from __future__ import annotations

import random
import re
import socket
import subprocess
import sys

import pytest
from support import ports
from support.ports import is_free, reserved_ports
from support.real_ray import ROOT

# Prints whether another process can reserve a port.
OTHER_RUN = """
import socket, sys
from support.ports import is_bound
print(is_bound(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), int(sys.argv[1])))
"""
FIXED_PORT = re.compile(r"(?i)port\w*[\"']?\)?[ :=,]+[\"']?[1-9]\d{3,4}\b")


def reserved_elsewhere(port: int) -> bool:
    command = [sys.executable, "-c", OTHER_RUN, str(port)]
    output = subprocess.check_output(command, cwd=ROOT / "tests", text=True)
    return output == "False\n"


def test_reserved_ports_are_free_and_no_other_run_reserves_them() -> None:
    with reserved_ports() as first, reserved_ports() as second:
        assert not set(first) & set(second)
        assert all(map(is_free, [*first, *second]))
        assert reserved_elsewhere(first[0])
    assert not reserved_elsewhere(first[0])


def test_a_port_on_which_a_server_listens_is_not_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    with reserved_ports() as free:
        monkeypatch.setattr(ports, "FIRST_PORT", free[0])
        monkeypatch.setattr(ports, "LAST_PORT", free[-1] + 1)
    with (
        socket.create_server(("127.0.0.1", free[2])),
        pytest.raises(AssertionError, match="no four ports"),
        reserved_ports(),
    ):
        raise RuntimeError("a used port was reserved")


def test_blocks_are_tried_in_another_order_each_time() -> None:
    random.seed(0)
    firsts = set()
    for _ in range(5):
        with reserved_ports() as block:
            firsts.add(block[0])
    assert len(firsts) > 1


@pytest.mark.parametrize("folder", ["chaos", "gpu", "integration", "support"])
def test_no_test_that_starts_a_server_has_a_fixed_port(folder: str) -> None:
    files = sorted((ROOT / "tests" / folder).glob("*.py"))
    assert files
    for file in files:
        if file.name != "ports.py":
            assert FIXED_PORT.findall(file.read_text()) == [], file


@pytest.mark.parametrize("line", ["PORT = 6397", '"--dashboard-port=8277"', '"--port", "6399"'])
def test_a_fixed_port_is_found(line: str) -> None:
    assert FIXED_PORT.search(line)
