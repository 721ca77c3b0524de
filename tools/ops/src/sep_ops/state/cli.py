"""The command line of ``sep-state``."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sep_kit.clock import Clock
from sep_local.errors import StackError

from sep_ops.state import archive, encryption
from sep_ops.state.backup import Scope, make_backup
from sep_ops.state.errors import StateError
from sep_ops.state.migration import migrate_backup
from sep_ops.state.opening import open_backup, try_backup
from sep_ops.state.options import make_parser
from sep_ops.state.place import Place, read_place
from sep_ops.state.repair import Repair, repair_files
from sep_ops.state.restore import restore_backup

_SHOWN_KEYS = 20
_INTERRUPTED = 130

Command = Callable[[argparse.Namespace, Place, Clock], int]


def run(argv: Sequence[str] | None, clock: Clock) -> int:
    """Run the command; returns its exit code.

    Args:
        argv: the process's arguments if None.
    """
    options = make_parser().parse_args(argv)
    try:
        place = read_place(os.environ, options.run_dir)
        return _COMMANDS[options.command](options, place, clock)
    except (StateError, StackError, OSError) as error:
        print(f"sep-state: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, StateError) else StateError.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED


def _backup(options: argparse.Namespace, place: Place, clock: Clock) -> int:
    made = make_backup(
        place,
        options.out.absolute(),
        clock,
        Scope(candles=options.candles, journal=not options.without_journal),
        recipients=_recipients(options),
        daily=options.keep_daily,
        weekly=options.keep_weekly,
    )
    print(f"{made.path}: {_summary(made.manifest)}, {made.path.stat().st_size} bytes")
    for path in made.removed:
        print(f"removed {path.name}")
    return 0


def _verify(options: argparse.Namespace, place: Place, _clock: Clock) -> int:
    with place.work_folder() as work:
        manifest, members = open_backup(options.file, _identities(options), work)
        keys = try_backup(manifest, members, work)
    ended = manifest.keys - keys
    print(f"{options.file}: good; {_summary(manifest)}")
    print(f"SEP {manifest.sep_version}, Valkey {manifest.valkey_version}")
    if ended:
        print(f"{ended} of its keys are leases, or their time has ended since")
    return 0


def _restore(options: argparse.Namespace, place: Place, clock: Clock) -> int:
    restored = restore_backup(
        place, options.file, _identities(options), clock, replace=options.replace
    )
    print(f"restored {_summary(restored.manifest)}")
    if restored.aside:
        print(f"the state before it: {restored.aside}")
    print(
        "The kill switch is engaged. Start the stack: it reconciles with the broker; compare "
        "positions, then release."
    )
    return 0


def _migrate(options: argparse.Namespace, place: Place, _clock: Clock) -> int:
    path, manifest = migrate_backup(
        place,
        options.file,
        options.out.absolute(),
        identities=_identities(options),
        recipients=_recipients(options),
    )
    print(f"{path}: {_summary(manifest)}")
    return 0


def _repair(options: argparse.Namespace, place: Place, clock: Clock) -> int:
    if place.valkey_url is not None:
        raise StateError("repair needs Valkey's files: name the run directory with --run-dir")
    done = repair_files(place, clock, dry_run=options.dry_run)
    if not done.faults:
        print("nothing is damaged, and nothing was changed")
        return 0
    for fault in done.faults:
        print(fault)
    print(f"lost: {done.lost_bytes} bytes{_lost_keys(done)}")
    if done.keys is None:
        print("nothing was changed; without --dry-run they are cut off")
        return 0
    print(f"repaired: {done.keys} keys; the files as they were found: {done.aside}")
    print("The kill switch is engaged: compare positions with the broker's, then release.")
    return 0


def _key(options: argparse.Namespace, _place: Place, _clock: Clock) -> int:
    recipient = encryption.make_key(options.file)
    print(f"{options.file}: the secret key; store it where the backups are not")
    print(f"{options.file}.pub: {recipient}")
    return 0


_COMMANDS: dict[str, Command] = {
    "backup": _backup,
    "verify": _verify,
    "restore": _restore,
    "migrate": _migrate,
    "repair": _repair,
    "key": _key,
}


def _summary(manifest: archive.Manifest) -> str:
    made = datetime.fromtimestamp(manifest.made_ms / 1000, UTC)
    journal = "with" if archive.JOURNAL in manifest.members else "without"
    candles = "with" if manifest.candles else "without"
    return (
        f"{manifest.keys} keys of {made:%Y-%m-%d %H:%M:%S} UTC, {candles} candles, "
        f"{journal} the journal"
    )


def _lost_keys(done: Repair) -> str:
    total = done.lost.total()
    if not total:
        return ", no whole command among them"
    shown = done.lost.most_common(_SHOWN_KEYS)
    names = ", ".join(f"{key} ({count})" for key, count in shown)
    more = f" and {len(done.lost) - len(shown)} more" if len(done.lost) > len(shown) else ""
    return f", {total} whole commands among them, on {names}{more}"


def _recipients(options: argparse.Namespace) -> list[encryption.Recipient]:
    return encryption.read_recipients(options.encrypt_to) if options.encrypt_to else []


def _identities(options: argparse.Namespace) -> list[encryption.Identity]:
    return encryption.read_identities(options.identity) if options.identity else []
