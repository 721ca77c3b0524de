"""Ctrl-C in the middle of an operator's script: one line, one exit code, however often it comes."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = {
    "drain_overcap": (),
    "kill_switch": ("engage", "--reason", "test"),
    "snapshot": ("--out", os.devnull),
    "verify_stack": (),
    "warmup_orchestrator": (),
    "why_no_trade": (),
}


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """A stack that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        yield listener


def start(script: str, mute: socket.socket, *, ignoring: bool = False) -> subprocess.Popen[str]:
    """A script that waits for the stack; its caller may have told it not to mind Ctrl-C."""
    command = (sys.executable, f"scripts/ops/{script}.py", *SCRIPTS[script])
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if ignoring else None
    try:
        return subprocess.Popen(
            (*command, "--url", f"http://127.0.0.1:{mute.getsockname()[1]}"),
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if k != "SEP_KEY_FILE"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def test_every_script_that_can_be_run_is_stopped_here() -> None:
    files = (ROOT / "scripts" / "ops").glob("*.py")
    assert {f.stem for f in files if '__name__ == "__main__"' in f.read_text()} == set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_ctrl_c_ends_a_script_with_one_line_however_often_it_comes(
    script: str, mute: socket.socket
) -> None:
    with start(script, mute) as process, mute.accept()[0]:
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == 130, output
    assert output.count("stopped; ") == 1, output
    assert "Traceback" not in output


def test_a_script_whose_caller_shields_it_from_ctrl_c_goes_on(mute: socket.socket) -> None:
    with start("kill_switch", mute, ignoring=True) as process, mute.accept()[0] as call:
        process.send_signal(signal.SIGINT)
        body = b'{"kill_switch": true, "reason": "test", "actor": "write"}'
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        call.sendall(head % len(body) + body)
        output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "kill switch engaged by write: test\n")
