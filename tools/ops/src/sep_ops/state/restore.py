"""Restores a backup: the stack comes up with the kill switch engaged."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sep_kit.clock import Clock, now_ms
from sep_kit.store.halt_file import HaltFile
from sep_kit.store.records import KillSwitchChange

from sep_ops.state import archive
from sep_ops.state.encryption import Identity
from sep_ops.state.errors import RefusedError
from sep_ops.state.journal import load_journal
from sep_ops.state.opening import load_into, open_backup
from sep_ops.state.place import Place, has_files
from sep_ops.state.server import EmbeddedValkey
from sep_ops.state.store import held_leases, open_store

ACTOR = "sep-state"
_HALTED = ("guard", "gateway")
"""Services that have a file for an engaged kill switch."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored; ``aside`` is where the state before it lies, None if there was none."""

    manifest: archive.Manifest
    keys: int
    aside: Path | None


def restore_backup(
    place: Place, file: Path, identities: list[Identity], clock: Clock, *, replace: bool
) -> Restored:
    """Make a backup's state the stack's.

    Raises:
        RefusedError: a stack runs, or there is state and ``replace`` is not set.
        UnusableError: the backup can't be used.
        StateError: something does not answer, or can't be written.
    """
    if place.valkey_url is None:
        place.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with place.work_folder() as work:
        manifest, members = open_backup(file, identities, work)
        halt = halt_change(f"restored from {file.name}", clock)
        if place.valkey_url is not None:
            keys = _into_store(place, place.valkey_url, manifest, members, halt, replace)
            return Restored(manifest, keys, None)
        with place.stopped():
            return _into_files(place, manifest, members, halt, replace)


def halt_change(what: str, clock: Clock) -> KillSwitchChange:
    """The engaged kill switch, with its recorded reason."""
    reason = f"{what}: compare positions with the broker's, then release"
    return KillSwitchChange(ts=now_ms(clock), engaged=True, reason=reason, actor=ACTOR)


def write_halt_files(place: Place, halt: KillSwitchChange) -> None:
    """Engage the kill switch where guard and gateway look before they have read Valkey."""
    if place.halt_dir is not None:
        for service in _HALTED:
            HaltFile(place.halt_dir, service).write(halt)


def swap(fresh: Path, place: Place, aside_name: str, halt: KillSwitchChange) -> Path | None:
    """Put a new folder in the place of Valkey's; returns where the old one lies then."""
    aside = None
    write_halt_files(place, halt)
    if place.valkey_dir.exists():
        moment = datetime.fromtimestamp(halt.ts / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        aside = place.run_dir / f"valkey.{aside_name}-{moment}"
        place.valkey_dir.rename(aside)
    fresh.rename(place.valkey_dir)
    archive.sync(place.run_dir)
    return aside


def fresh_folder(place: Place, name: str) -> Path:
    """An empty folder beside Valkey's; what an interrupted run has left is removed."""
    folder = place.run_dir / f"valkey.{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def _into_files(
    place: Place,
    manifest: archive.Manifest,
    members: Path,
    halt: KillSwitchChange,
    replace: bool,
) -> Restored:
    if has_files(place.append_only_dir) and not replace:
        raise _not_empty(str(place.valkey_dir))
    fresh = fresh_folder(place, "restoring")
    with EmbeddedValkey(fresh) as server:
        keys = load_into(server.url, manifest, members, halt)
    _load_journal(place, manifest, members, replace)
    return Restored(manifest, keys, swap(fresh, place, "before-restore", halt))


def _into_store(
    place: Place,
    url: str,
    manifest: archive.Manifest,
    members: Path,
    halt: KillSwitchChange,
    replace: bool,
) -> int:
    with open_store(url) as client:
        if holders := held_leases(client):
            raise RefusedError(
                f"a stack runs on this Valkey ({', '.join(holders)}): stop its services; the lease "
                "of one that was killed ends after 15 s"
            )
        if client.dbsize() and not replace:
            raise _not_empty("this Valkey")
    _load_journal(place, manifest, members, replace)
    write_halt_files(place, halt)
    return load_into(url, manifest, members, halt)


def _load_journal(place: Place, manifest: archive.Manifest, members: Path, replace: bool) -> None:
    if archive.JOURNAL in manifest.members:
        load_journal(place.journal_url, members / archive.JOURNAL, replace=replace)


def _not_empty(where: str) -> RefusedError:
    return RefusedError(f"{where} holds state already: back it up, then restore with --replace")
