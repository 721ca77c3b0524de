"""Repairs Valkey's append-only files by cutting off what can't be read, and says what is lost."""

import asyncio
import re
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sep_kit.clock import Clock
from sep_kit.store.connection import open_valkey
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.store.records import KillSwitchChange

from sep_ops.state.aof import Findings, all_keys, inspect_file
from sep_ops.state.errors import StateError, UnusableError
from sep_ops.state.place import Place, has_files
from sep_ops.state.restore import fresh_folder, halt_change, swap
from sep_ops.state.server import EmbeddedValkey
from sep_ops.state.store import open_store

_MANIFEST = "appendonly.aof.manifest"
_LINE = re.compile(r"file (\S+) seq (\d+) type ([bih])")


@dataclass(frozen=True, slots=True)
class Repair:
    """What is wrong, what was done, and what is lost.

    Attributes:
        faults: one line a damaged file; empty if nothing is wrong.
        lost_bytes: bytes cut off.
        lost: whole commands cut off, by key.
        keys: how many keys there are afterwards; None where nothing was written.
        aside: where the files lie as they were found.
    """

    faults: list[str] = field(default_factory=list)
    lost_bytes: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    keys: int | None = None
    aside: Path | None = None


def repair_files(place: Place, clock: Clock, *, dry_run: bool) -> Repair:
    """Cut the append-only files at the first command that can't be read.

    The files as they were found stay beside the repaired ones. The kill switch is engaged: orders
    and an engage may be among what is lost.

    Raises:
        RefusedError: a stack runs on the folder.
        UnusableError: what is damaged can't be repaired; nothing was changed.
    """
    if not has_files(place.append_only_dir):
        raise StateError(f"{place.append_only_dir} has no append-only files")
    with place.stopped():
        found = _inspect(place.append_only_dir)
        if not found.faults:
            _check_base(place)
            return found
        if dry_run:
            return found
        fresh = fresh_folder(place, "repairing")
        repaired = fresh / "appendonlydir"
        shutil.copytree(place.append_only_dir, repaired)
        _cut(repaired)
        halt = halt_change(f"repaired after the loss of {found.lost_bytes} bytes", clock)
        keys = _load(fresh, halt)
        aside = swap(fresh, place, "damaged", halt)
    return Repair(found.faults, found.lost_bytes, found.lost, keys, aside)


def _load(fresh: Path, halt: KillSwitchChange | None) -> int:
    try:
        with EmbeddedValkey(fresh) as server:
            if halt is not None:
                asyncio.run(_engage(server.url, halt))
            with open_store(server.url) as client:
                return int(client.dbsize())
    except StateError as error:
        raise UnusableError(
            f"what is left can't be read either: {error}; nothing was changed. Restore a backup"
        ) from error


async def _engage(url: str, halt: KillSwitchChange) -> None:
    async with open_valkey(url) as client:
        await KillSwitch(client).set(halt)


def _check_base(place: Place) -> None:
    """Try a copy: damage of the base shows only when Valkey reads it."""
    with place.work_folder() as work:
        shutil.copytree(place.append_only_dir, work / "appendonlydir")
        _load(work, None)


def _inspect(folder: Path) -> Repair:
    known = _command_names()
    faults, lost_bytes, lost = list[str](), 0, Counter[str]()
    for path in _increments(folder):
        data = path.read_bytes()
        findings = inspect_file(data, known)
        if faults:
            faults.append(f"{path.name}: its {len(data)} bytes follow the damage")
            lost_bytes += len(data)
            lost += all_keys(data, known)
        elif not findings.whole:
            faults.append(f"{path.name}: {_what(findings)}")
            lost_bytes += findings.size - findings.good
            lost += findings.lost
    return Repair(faults, lost_bytes, lost)


def _what(findings: Findings) -> str:
    how = "ends inside of a command" if findings.truncated else "is damaged"
    return (
        f"{how} after byte {findings.good} of {findings.size}; {findings.commands} commands before "
        "it are whole"
    )


def _cut(folder: Path) -> None:
    """Cut the first file with a fault, and drop those after it."""
    known = _command_names()
    cut = False
    for path in _increments(folder):
        if cut:
            path.write_bytes(b"")
            continue
        findings = inspect_file(path.read_bytes(), known)
        if not findings.whole:
            cut = True
            with path.open("r+b") as file:
                file.truncate(findings.good)


def _increments(folder: Path) -> list[Path]:
    """The files of commands after the base, in the order in which Valkey reads them."""
    try:
        lines = (folder / _MANIFEST).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableError(f"{folder / _MANIFEST} can't be read: restore a backup") from error
    matches = [_LINE.match(line) for line in lines if line.strip()]
    if not all(matches):
        raise UnusableError(f"{folder / _MANIFEST} is damaged: restore a backup")
    entries = [(int(m[2]), m[1]) for m in matches if m and m[3] == "i"]
    paths = [folder / name for _, name in sorted(entries)]
    if missing := [path.name for path in paths if not path.is_file()]:
        raise UnusableError(f"{missing[0]} is missing in {folder}: restore a backup")
    return paths


def _command_names() -> frozenset[str]:
    """The commands that the Valkey at hand knows."""
    with (
        tempfile.TemporaryDirectory(prefix="sep-state-") as folder,
        EmbeddedValkey(Path(folder), append_only=False) as server,
        open_store(server.url) as client,
    ):
        names = client.execute_command("COMMAND LIST")  # type: ignore[no-untyped-call]
        return frozenset(name.decode().lower() for name in names)
