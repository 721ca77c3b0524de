"""Ctrl-C while an operator's command waits: one line and exit code 130, however often it comes."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sep_ops.__main__ import COMMANDS

from tests.operations.sigint import sigint_of_children

ROOT = Path(__file__).parents[2]
SCRIPTS = {
    "drain_overcap": ("drain",),
    "flatten_all": ("flatten", "--reason", "test"),
    "locks": ("locks", "list"),
    "kill_switch": ("kill-switch", "engage", "--reason", "test"),
    "snapshot": ("snapshot", "--out", os.devnull),
    "verify_stack": ("verify",),
    "warmup_orchestrator": ("warm-up",),
    "why_no_trade": ("why-no-trade",),
}
"""Arguments of ``sep-ops`` by the script that runs the same command."""
SUBCOMMANDS = (*SCRIPTS.values(), ("notify", "--test"), ("alert", "--test"))


@pytest.fixture
def silent_server() -> Iterator[socket.socket]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        yield listener


def start(
    command: tuple[str, ...], server: socket.socket, *, ignore_sigint: bool = False
) -> subprocess.Popen[str]:
    """Start a command against the server."""
    with sigint_of_children(ignored=ignore_sigint):
        return subprocess.Popen(
            (sys.executable, *command, "--url", f"http://127.0.0.1:{server.getsockname()[1]}"),
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if k != "SEP_KEY_FILE"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def script(name: str) -> tuple[str, ...]:
    return (f"scripts/ops/{name}.py", *SCRIPTS[name][1:])


def subcommand(arguments: tuple[str, ...]) -> tuple[str, ...]:
    return ("-m", "sep_ops", *arguments)


def test_every_script_and_every_subcommand_is_covered_here() -> None:
    files = (ROOT / "scripts" / "ops").glob("*.py")
    assert {f.stem for f in files if '__name__ == "__main__"' in f.read_text()} == set(SCRIPTS)
    assert {arguments[0] for arguments in SUBCOMMANDS} == set(COMMANDS)


@pytest.mark.parametrize(
    "command", [*map(script, SCRIPTS), *map(subcommand, SUBCOMMANDS)], ids=" ".join
)
def test_ctrl_c_ends_a_command_with_one_line_however_often_it_comes(
    command: tuple[str, ...], silent_server: socket.socket
) -> None:
    with start(command, silent_server) as process, silent_server.accept()[0]:
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == 130, output
    assert output.count("stopped; ") == 1, output
    assert "Traceback" not in output


def test_a_command_started_with_sigint_ignored_goes_on(silent_server: socket.socket) -> None:
    command = script("kill_switch")
    with (
        start(command, silent_server, ignore_sigint=True) as process,
        silent_server.accept()[0] as connection,
    ):
        process.send_signal(signal.SIGINT)
        body = (
            b'{"kill_switch": true, "reason": "test", "actor": "write", "ts_ms": 1700000000000, '
            b'"durable": true}'
        )
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        connection.sendall(head % len(body) + body)
        output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "kill switch engaged by write: test\n")
