"""Makes a backup: Valkey at one moment, then the journal, in one file."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sep_kit
from sep_kit.clock import Clock, now_ms

from sep_ops.state import archive, encryption, retention
from sep_ops.state.encryption import Recipient
from sep_ops.state.errors import RefusedError, StateError
from sep_ops.state.journal import dump_journal
from sep_ops.state.place import Place, runs
from sep_ops.state.store import open_store, read_bulk, read_state, version_of


@dataclass(frozen=True, slots=True)
class Made:
    """A finished backup, and older ones that were removed after it."""

    path: Path
    manifest: archive.Manifest
    removed: list[Path]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a backup takes in beside the state itself."""

    candles: bool
    journal: bool


def make_backup(
    place: Place,
    folder: Path,
    clock: Clock,
    scope: Scope,
    *,
    recipients: list[Recipient],
    daily: int | None = None,
    weekly: int | None = None,
) -> Made:
    """Write a backup into a folder, then remove those that retention does not hold.

    Valkey comes first: the journal may have seen more than it, and takes nothing in twice.

    Raises:
        RefusedError: there is a backup of this second.
        StateError: the state can't be read, or the folder not be written.
    """
    with place.work_folder() as work:
        members = work / "members"
        members.mkdir()
        manifest = collect(place, members, clock, scope)
        path = write_file(work, members, manifest, folder, recipients)
    old = retention.surplus(retention.backups_in(folder).items(), daily=daily, weekly=weekly)
    for surplus in old:
        surplus.unlink(missing_ok=True)
    return Made(path, manifest, old)


def collect(place: Place, members: Path, clock: Clock, scope: Scope) -> archive.Manifest:
    """Read the state into files of a folder."""
    with place.readable() as url, open_store(url) as client:
        version = version_of(client)
        made_ms = now_ms(clock)
        entries = read_state(client, candles=scope.candles)
        keys = archive.write_entries(members / archive.STATE, entries)
        keys += archive.write_entries(
            members / archive.BULK, read_bulk(client, candles=scope.candles)
        )
    if scope.journal:
        dump_journal(place.journal_url, members / archive.JOURNAL)
    return describe_members(members, version, made_ms, keys, candles=scope.candles)


def describe_members(
    members: Path, valkey_version: str, made_ms: int, keys: int, *, candles: bool
) -> archive.Manifest:
    """The manifest of a folder of members."""
    return archive.Manifest(
        format=archive.FORMAT,
        sep_version=sep_kit.__version__,
        valkey_version=valkey_version,
        made_ms=made_ms,
        keys=keys,
        candles=candles,
        members={path.name: archive.describe(path) for path in sorted(members.iterdir())},
    )


def write_file(
    work: Path, members: Path, manifest: archive.Manifest, folder: Path, recipients: list[Recipient]
) -> Path:
    """Pack, encrypt, and only then give the file its name."""
    made = datetime.fromtimestamp(manifest.made_ms / 1000, UTC)
    final = folder / retention.name_of(made, encrypted=bool(recipients))
    partial = folder / f".{final.name}.{os.getpid()}.partial"
    if final.exists():
        raise RefusedError(f"{final} exists already")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in folder.glob(".sep-*.partial"):
            # Of a run that was killed, not of one that writes now.
            if not runs(leftover.name.split(".")[-2]):
                leftover.unlink()
        packed = work / "packed.tar" if recipients else partial
        archive.pack(members, manifest, packed)
        if recipients:
            encryption.encrypt(packed, partial, recipients)
        archive.publish(partial, final)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StateError(f"can't write {final}: {error.strerror or error}") from error
    return final
