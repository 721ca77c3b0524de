"""The commands of ``sep-params``. Each returns its exit code."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from sep_client.models import ParameterChange
from sep_client.requests import Wanted

from sep_ops.command import DONE, FAILED, WRONG_CALL
from sep_ops.connection import CallError, StackClient, connect
from sep_ops.parameters.tables import difference_table, history_table, in_force_table
from sep_ops.parameters.verdicts import RunError, read_run

NO_ANSWER = 69
"""Exit code when the stack does not answer, as sysexits' EX_UNAVAILABLE."""

_UNANSWERED = ("UNREACHABLE", "TIMEOUT")


def promote(options: argparse.Namespace) -> int:
    """Put the winners of a run into force; with ``--dry-run`` only check them."""
    console = Console(soft_wrap=True)
    try:
        run = read_run(options.run)
        wanted = run.of(options.instruments)
    except RunError as error:
        return _refused(console, str(error), WRONG_CALL)
    against = _against(wanted)
    if against and not options.forced_by:
        return _refused(console, "\n".join([*against, _HOW_TO_FORCE]), FAILED)
    for line in against:
        console.print(f"forced: {line}", style="yellow", markup=False)
    try:
        with connect(options) as client:
            done = client.promote_parameters(
                wanted,
                run=run.name,
                reason=options.reason,
                forced_by=options.forced_by,
                dry_run=options.dry_run,
            )
    except CallError as error:
        if options.dry_run and error.reason in _UNANSWERED:
            console.print(
                f"would promote {', '.join(options.instruments)} of {run.name}; the stack does not"
                " answer, so it was not compared with what is in force",
                markup=False,
            )
            return DONE
        return _failed(console, error)
    return _changed(console, done.change, options, dry_run=done.dry_run)


_HOW_TO_FORCE = "Nothing was changed. --forced-by NAME promotes them in spite of that, on record."


def roll_back(options: argparse.Namespace) -> int:
    """Take a change back: the one with this id, or the last one of an instrument."""
    console = Console(soft_wrap=True)
    try:
        with connect(options) as client:
            change_id = _change_id(client, options.change)
            if change_id is None:
                return _refused(console, f"{options.change}: no change is on record", FAILED)
            done = client.roll_back_parameters(
                change_id, reason=options.reason, dry_run=options.dry_run
            )
    except CallError as error:
        return _failed(console, error)
    return _changed(console, done.change, options, dry_run=done.dry_run)


def show(options: argparse.Namespace) -> int:
    """Print the parameters in force."""
    console = Console(soft_wrap=True)
    try:
        with connect(options) as client:
            found = client.parameters().parameters
    except CallError as error:
        return _failed(console, error)
    wanted = [p for p in found if options.instrument in (None, p.instrument)]
    if not wanted:
        known = ", ".join(p.instrument for p in found)
        return _refused(console, f"{options.instrument}: unknown, allowed are {known}", WRONG_CALL)
    if options.json:
        _print_json([asdict(p) for p in wanted])
        return DONE
    console.print(in_force_table(wanted))
    if options.instrument is not None:
        console.print(difference_table(options.instrument, {}, wanted[0].values))
    return DONE


def history(options: argparse.Namespace) -> int:
    """Print the changes, the newest first."""
    console = Console(soft_wrap=True)
    try:
        with connect(options) as client:
            changes = client.parameter_changes(options.instrument, options.limit).changes
    except CallError as error:
        return _failed(console, error)
    if options.json:
        _print_json([asdict(c) for c in changes])
    elif changes:
        console.print(history_table(changes))
    else:
        console.print(
            "no change is on record: every instrument has its defaults, or a value by hand"
        )
    return DONE


def difference(options: argparse.Namespace) -> int:
    """Print what a run's winners would change; exit code 1 when something differs."""
    console = Console(soft_wrap=True)
    try:
        run = read_run(options.run)
        wanted = run.of(options.instruments or sorted(run.wanted))
        with connect(options) as client:
            now = {p.instrument: p for p in client.parameters().parameters}
    except RunError as error:
        return _refused(console, str(error), WRONG_CALL)
    except CallError as error:
        return _failed(console, error)
    unknown = [w.instrument for w in wanted if w.instrument not in now]
    if unknown:
        return _refused(console, f"the stack does not trade {', '.join(unknown)}", WRONG_CALL)
    differ = {w.instrument: w for w in wanted if dict(now[w.instrument].values) != dict(w.values)}
    if options.json:
        _print_json(
            {i: {"before": dict(now[i].values), "after": dict(w.values)} for i, w in differ.items()}
        )
    else:
        for w in wanted:
            console.print(difference_table(w.instrument, now[w.instrument].values, w.values))
    return FAILED if differ else DONE


def _change_id(client: StackClient, text: str) -> str | None:
    if "_" not in text:
        return text
    changes = client.parameter_changes(text, 1).changes
    return changes[0].id if changes else None


def _against(wanted: Sequence[Wanted]) -> list[str]:
    return [
        f"{w.instrument}: the verdict is against it: {', '.join(w.against) or 'no promotion'}"
        for w in wanted
        if w.against or not w.judged
    ]


def _changed(
    console: Console, change: ParameterChange | None, options: argparse.Namespace, *, dry_run: bool
) -> int:
    if change is None:
        return _refused(console, "the stack did not say what it changed; see history", FAILED)
    if options.json:
        _print_json({"dry_run": dry_run, "change": asdict(change)})
        return DONE
    for c in change.changed:
        console.print(difference_table(c.instrument, c.before, c.after))
    if dry_run:
        console.print("dry run: nothing was changed")
    else:
        console.print(
            f"change {change.id} is in force. The gates of its instruments are closed until two"
            " evaluations under the new parameters pass.",
            markup=False,
        )
    return DONE


def _refused(console: Console, message: str, code: int) -> int:
    console.print(f"REFUSED: {message}", style="red", markup=False)
    return code


def _failed(console: Console, error: CallError) -> int:
    console.print(f"FAILED: {error}", style="red", markup=False)
    return NO_ANSWER if error.reason in _UNANSWERED else FAILED


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, default=str))


def run_folder(text: str) -> Path:
    """The folder of a run, as an option's value."""
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(
            f"{text} is not a folder: give one that sep-research wrote"
        )
    return path
