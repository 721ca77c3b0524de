"""The built console (``console/``): the files that Envoy serves, and their paths.

Each is stored compressed, too: Envoy would compress it for every request, and a third worse.
"""

import gzip
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
COMPRESSED = ".gz"
"""Suffix of the compressed copy of a file."""
_PAGE = "index.html"
_HASHED = "assets"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleFile:
    """One file of the console.

    Args:
        path: where it is served; the page itself at ``/``.
        name: its path inside the folder.
        hashed: whether its name holds a hash of its content.
    """

    path: str
    name: str
    content_type: str
    hashed: bool


def console_files(folder: Path) -> Iterator[ConsoleFile]:
    """The files of a built console, by name, without their compressed copies."""
    for file in sorted(folder.rglob("*")):
        if not file.is_file() or file.suffix not in _TYPES:
            continue
        name = file.relative_to(folder).as_posix()
        yield ConsoleFile(
            path="/" if name == _PAGE else f"/{name}",
            name=name,
            content_type=_TYPES[file.suffix],
            hashed=name.startswith(f"{_HASHED}/"),
        )


def copy_console(built: Path | None, folder: Path) -> Path | None:
    """Copy a built console and compress each file.

    It is copied so that building it again changes nothing under a running Envoy.

    Args:
        built: the folder that the build wrote; None for none.
        folder: where to copy it; what is there is replaced.

    Returns:
        The folder, or None if nothing is built.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if built is None or not (built / _PAGE).is_file():
        return None
    shutil.copytree(built, folder)
    for file in console_files(folder):
        path = folder / file.name
        compressed = gzip.compress(path.read_bytes(), mtime=0)
        path.with_name(path.name + COMPRESSED).write_bytes(compressed)
    return folder
