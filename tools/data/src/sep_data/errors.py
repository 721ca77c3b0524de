"""Errors of the commands; each message says what was wrong, where, and what is allowed."""

from pathlib import Path


class DataError(Exception):
    """A command can't do what it was asked. Exit code 1."""


class FileRefusedError(DataError):
    """A file can't be imported at all; names the file, and the line where there is one."""

    def __init__(self, path: Path, line: int | None, message: str) -> None:
        where = f"{path}" if line is None else f"{path}: line {line}"
        super().__init__(f"{where}: {message}")
