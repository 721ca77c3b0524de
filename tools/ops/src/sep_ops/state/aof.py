"""Finds where an append-only file of Valkey stops making sense. Pure: bytes in, findings out.

The file is a series of commands, each an array of bulk strings: ``*2\\r\\n$3\\r\\nGET\\r\\n...``. A
transaction counts as one command.
"""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

_AHEAD = re.compile(rb"\*[1-9][0-9]{0,6}\r\n\$")
_LONGEST_NUMBER = 12


class _BrokenError(Exception):
    """The bytes at this place are no command; ``truncated`` if the file ends inside of one."""

    def __init__(self, *, truncated: bool) -> None:
        super().__init__()
        self.truncated = truncated


@dataclass(frozen=True, slots=True)
class Findings:
    """What a file holds.

    Attributes:
        size: bytes of the file.
        good: bytes up to the end of the last whole command; equal to ``size`` if all is well.
        commands: whole commands in them.
        truncated: whether the file only ends inside of a command or transaction, as after a
            power cut; otherwise bytes in it are damaged.
        lost: whole commands after the damage, by the key that they name first.
    """

    size: int
    good: int
    commands: int
    truncated: bool
    lost: Counter[str] = field(default_factory=Counter)

    @property
    def whole(self) -> bool:
        """Whether nothing is missing or damaged."""
        return self.good == self.size


def inspect_file(data: bytes, known: Collection[str]) -> Findings:
    """Read a file up to what is no command.

    Args:
        known: names of Valkey's commands in lower case; another name is damage.
    """
    at = good = commands = 0
    inside = False
    while at < len(data):
        try:
            words, at = _command(data, at, known)
        except _BrokenError as error:
            lost = all_keys(data, known, at + 1)
            truncated = error.truncated and not lost
            return Findings(len(data), good, commands, truncated, lost)
        name = words[0].lower() if words else b""
        inside = name == b"multi" or (inside and name != b"exec")
        if not inside:
            good = at
            commands += bool(words)
    return Findings(len(data), good, commands, truncated=good != len(data))


def all_keys(data: bytes, known: Collection[str], start: int = 0) -> Counter[str]:
    """Whole commands from an offset on, by the key that they name first, whatever lies between."""
    lost = Counter[str]()
    at = start
    while found := _AHEAD.search(data, at):
        try:
            words, at = _command(data, found.start(), known)
        except _BrokenError:
            at = found.start() + 1
        else:
            if len(words) > 1:
                lost[words[1].decode(errors="replace")] += 1
    return lost


def _command(data: bytes, at: int, known: Collection[str]) -> tuple[list[bytes], int]:
    """The words of the command at an offset, and the offset after it. A comment has no words."""
    if data[at : at + 1] == b"#":
        end = data.find(b"\r\n", at)
        if end < 0:
            raise _BrokenError(truncated=True)
        return [], end + 2
    count, at = _number(data, at, b"*")
    words = []
    for _ in range(count):
        length, at = _number(data, at, b"$")
        end = at + length
        if end + 2 > len(data):
            raise _BrokenError(truncated=True)
        if data[end : end + 2] != b"\r\n":
            raise _BrokenError(truncated=False)
        words.append(data[at:end])
        at = end + 2
    if not words or words[0].decode(errors="replace").lower() not in known:
        raise _BrokenError(truncated=False)
    return words, at


def _number(data: bytes, at: int, kind: bytes) -> tuple[int, int]:
    end = data.find(b"\r\n", at, at + _LONGEST_NUMBER)
    if end < 0:
        raise _BrokenError(truncated=at + _LONGEST_NUMBER > len(data))
    digits = data[at + 1 : end]
    if data[at : at + 1] != kind or not digits.isdigit():
        raise _BrokenError(truncated=False)
    return int(digits), end + 2
