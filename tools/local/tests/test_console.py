"""Output to the terminal and to the log files, and the text of an unhealthy response."""

import os
import time
from pathlib import Path

from sep_local.console import Console, PartLogs
from sep_local.probes import missing_parts


def read_all(fd: int) -> bytes:
    read = b""
    while chunk := os.read(fd, 65_536):
        read += chunk
    return read


def test_lines_carry_the_coloured_name_of_their_part() -> None:
    read_end, write_end = os.pipe()
    console = Console(["gateway", "envoy"], fd=write_end, colour=True)
    console.line("envoy", b"here")
    console.message("one\ntwo")
    console.close()
    os.close(write_end)
    output = read_all(read_end)
    os.close(read_end)
    assert output == (
        b"\x1b[33menvoy   | \x1b[0mhere\n\x1b[1msep     | \x1b[0mone\n\x1b[1msep     | \x1b[0mtwo\n"
    )


def test_terminal_that_does_not_read_blocks_nothing() -> None:
    read_end, write_end = os.pipe()
    console = Console(["guard"], fd=write_end, colour=False)
    started = time.monotonic()
    for _ in range(20_000):
        console.line("guard", b"x" * 100)
    assert time.monotonic() - started < 60
    os.close(read_end)  # the terminal is gone: later writes fail, and nothing is raised
    console.close()
    os.close(write_end)


def test_log_of_the_previous_run_is_renamed(tmp_path: Path) -> None:
    for word in (b"first", b"second"):
        logs = PartLogs(tmp_path, ["guard"])
        logs.line("guard", word)
        logs.close()
    assert (tmp_path / "guard.log").read_text() == "second\n"
    assert (tmp_path / "guard.log.1").read_text() == "first\n"


def test_unhealthy_response_names_the_missing_parts() -> None:
    body = b"""{"code": 14, "message": "2 parts do not serve", "details": [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "NOT_SERVING"},
        {"@type": "type.googleapis.com/sep.ops.v1.GetHealthResponse", "healthy": false, "parts": [
            {"name": "gateway", "state": "PART_STATE_SERVING"},
            {"name": "evaluator", "state": "PART_STATE_NOT_SERVING"},
            {"name": "guard", "state": "PART_STATE_UNREACHABLE"}]}]}"""
    assert missing_parts(503, body) == "evaluator (not_serving), guard (unreachable)"
    assert missing_parts(503, b'{"details": []}') == "the services"
    assert missing_parts(502, b"<html>") == "/health (status 502)"
    assert missing_parts(502, b"[1]") == "/health (status 502)"
