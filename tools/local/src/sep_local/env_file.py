"""Reads env files, and refuses what Docker Compose would read differently.

A line is blank, a comment, or ``NAME=value``. A value may be in single or double quotes, and a
comment may follow it after a space. Nothing is interpolated and nothing is escaped.
"""

import re
from pathlib import Path

from sep_local.errors import StackError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUOTED = re.compile(r"""('(?P<single>[^']*)'|"(?P<double>[^"]*)")\s*(#.*)?""")
_COMMENT = re.compile(r"(?:^|\s+)#.*")


def read_env_file(path: Path) -> dict[str, str]:
    """Values by name.

    Raises:
        StackError: the file can't be read, or has faults; each is listed with its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(f"can't read the env file {path}: {error}") from error
    values: dict[str, str] = {}
    faults: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            entry = _parse_line(line)
            if entry and entry[0] in values:
                raise ValueError(f"{entry[0]} is set a second time")
        except ValueError as error:
            faults.append(f"line {number}: {error}")
        else:
            values.update([entry] if entry else [])
    if faults:
        raise StackError(f"the env file {path} has faults:", faults)
    return values


def _parse_line(line: str) -> tuple[str, str] | None:
    """A name and its value; None for a line that sets nothing.

    Error messages never contain the value, which may be a secret.
    """
    line = line.strip()
    if not line or line.startswith("#"):
        return None
    name, equals, raw = line.partition("=")
    if not equals:
        raise ValueError("neither NAME=value nor a comment")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name; `export` and a space before = are not allowed")
    if raw[:1].isspace():
        raise ValueError(f"{name}: a space after = is not allowed")
    if raw[:1] in {"'", '"'}:
        return name, _unquote(name, raw)
    value = _COMMENT.sub("", raw).rstrip()
    for forbidden in "'\"\\$`":
        if forbidden in value:
            raise ValueError(f"{name}: a value with {forbidden} needs single quotes")
    return name, value


def _unquote(name: str, raw: str) -> str:
    quoted = _QUOTED.fullmatch(raw)
    if not quoted:
        raise ValueError(f"{name}: the quotes don't close, or text other than a comment follows")
    if quoted["double"] is None:
        return quoted["single"]
    if set(quoted["double"]) & set("\\$`"):
        raise ValueError(f"{name}: \\, $ and ` need single quotes; nothing is interpolated")
    return quoted["double"]
