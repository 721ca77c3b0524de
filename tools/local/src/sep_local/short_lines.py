"""A part's log lines as the console shows them: short enough to read at a glance.

The log files in the run directory hold every line as it was written: date, request and whole ids.
The console shows the time of day, drops what its prefix says already, and shortens ids to their
beginning, by which they are found in the files.
"""

import json
import re

MOST_CHARACTERS = 145
"""Of a line at INFO, without the prefix; warnings and errors are shown whole."""

_SERVICE_LINE = re.compile(r"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)[.\d]*Z \[(\w+) *\] (.*)", re.S)
_FIELD = re.compile(
    r""" (\w+)=('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\[[^\]]*\]|\{[^}]*\}|\S*)(?= \w+=|$)"""
)
_DROPPED = frozenset({"component", "service", "request_id", "holder", "token"})
_LONG_FLOAT = re.compile(r"\b\d+\.\d{7,}\b")
_LONG_ID = re.compile(r"(?:[a-z]+-)?[0-9a-f]{8}(?=[0-9a-f-]{8})")
# What gRPC says around the address of a part that is not there yet, and why.
_NO_CONNECTION = re.compile(
    r"failed to connect to all addresses; last error: \w+: (?:ipv4:)?(\S+): "
    r"Failed to connect to remote host: "
)
_SHORT_NAMES = {"client_order_id": "order_id", "decision_id": "decision"}
# About the machine, not the stack; the README of this package says what they mean.
_NOT_SHOWN = ("WARNING Memory overcommit", "WARNING The TCP backlog", "Transparent Huge Pages")


def short_line(line: bytes) -> bytes | None:
    """The line to show; None for one that only the log file holds."""
    text = line.decode(errors="replace")
    if any(words in text for words in _NOT_SHOWN):
        return None
    if match := _SERVICE_LINE.fullmatch(text):
        return _service_line(*match.groups()).encode()
    if text.startswith("{") and '"path"' in text:
        return _access_line(text).encode()
    return line


def _service_line(time: str, level: str, rest: str) -> str:
    shown = _FIELD.sub(_field, _NO_CONNECTION.sub(r"\1: ", rest))
    if level in {"info", "debug"}:
        shown = shown if len(shown) <= MOST_CHARACTERS else f"{shown[:MOST_CHARACTERS]}…"
        return f"{time} {shown}"
    return f"{time} {level.upper()} {shown}"


def _field(match: re.Match[str]) -> str:
    name, value = match.groups()
    if name in _DROPPED or value in {"", "[]", "''", "None"}:
        return ""
    if name == "reduce_only":
        return " reduce_only" if value == "True" else ""
    if name.endswith("_id") and (found := _LONG_ID.match(value)):
        value = f"{found[0]}…"
    elif value.startswith("/sep."):
        value = value.rpartition("/")[2]
    return (
        f" {_SHORT_NAMES.get(name, name)}={_LONG_FLOAT.sub(lambda f: f'{float(f[0]):.4f}', value)}"
    )


def _access_line(text: str) -> str:
    """A line of Envoy's access log: what was called, by whom, with what result."""
    try:
        call = json.loads(text)
        words = [
            call["time"][11:19], call["method"], call["path"], call["status"],
            f"{call['milliseconds']} ms",
        ]  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return text
    if call.get("grpc_status", "OK") != "OK":
        words.append(call["grpc_status"])
    if call.get("flags", "-") != "-":
        words.append(f"flags={call['flags']}")
    return " ".join(map(str, [*words, f"from {call.get('client', 'unknown')}"]))
