"""Plays the settings that the command line asks for, one after the other, on one tape."""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from sep_allocator.settings import AllocatorSettings
from sep_evaluator.cli.cost_specs import read_costs
from sep_evaluator.domain.costs import CostTable
from sep_evaluator.settings import EvaluatorSettings
from sep_guard.settings import GuardSettings
from sep_kit.logging import LogFormat, configure_logging
from sep_kit.settings.loading import load_settings

from sep_replay.command_line import refuse_unknown
from sep_replay.comparison import Run
from sep_replay.engine import Replay, ReplaySettings
from sep_replay.lacks import lacks_of
from sep_replay.report import print_report
from sep_replay.run_folder import write_events, write_run
from sep_replay.sources import Selection, read_tape
from sep_replay.tape import Tape
from sep_replay.variants import Variant, grid_of, read_variants
from sep_replay.winners import read_winners

_JOURNAL = "journal"


def play(args: argparse.Namespace, console: Console) -> int:
    """Play all settings; returns the exit code.

    Raises:
        InvalidSettingsError, OSError, ValueError: a setting, a file or an option can't be used.
    """
    configure_logging("replay", LogFormat.CONSOLE, "WARNING")
    variants = _variants(args)
    selection = Selection(
        instruments=args.instruments, granularity=args.granularity, since=args.since,
        until=args.until, home=args.home,
    )  # fmt: skip
    tape = read_tape(args.candles, selection, skip_bad=args.skip_bad)
    costs = _costs(args)
    # All settings are checked before the first is played.
    settings = [_settings(args, variant, tape, costs) for variant in variants]
    lacks: dict[str, None] = {}
    for found in settings:
        lacks.update(dict.fromkeys(lacks_of(tape, args.home, found.evaluator.eval_span_days)))
    for lack in lacks:
        print(f"sep-replay: {lack}", file=sys.stderr)
    for variant, found in zip(variants, settings, strict=True):
        if len(variants) > 1:
            console.rule(variant.name)
        _play_one(args, variant, tape, found, console)
    if len(variants) > 1:
        _print_side_by_side(args.out, variants, console)
    return 0


def _play_one(
    args: argparse.Namespace,
    variant: Variant,
    tape: Tape,
    settings: ReplaySettings,
    console: Console,
) -> None:
    replay = Replay(tape, settings)
    columns = (
        TextColumn(variant.name or "replay"), BarColumn(), MofNCompleteColumn(),
        TextColumn("bars"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replay", total=len(tape))
        journal = replay.run(lambda bars: progress.advance(task, bars))
    print_report(console, journal, replay.evaluations.values())
    if args.out is not None:
        write_run(args.out / variant.name, tape, settings, journal)
    if args.json is not None:
        write_events(args.json, journal)
        print(f"{len(journal.events)} events in {args.json}", file=sys.stderr)


def _variants(args: argparse.Namespace) -> list[Variant]:
    if args.variants is None:
        variants = grid_of(args.set)
    else:
        variants = read_variants(args.variants, args.set)
    refuse_unknown(name for variant in variants for name in variant.knobs)
    named = len(variants) > 1 or variants[0].name
    if named and args.json is not None:
        raise ValueError("--json takes one setting; with --out each has its events.json")
    if len(variants) > 1 and args.out is None:
        raise ValueError("several settings need --out DIR, where each gets a folder of its own")
    return variants


def _settings(
    args: argparse.Namespace, variant: Variant, tape: Tape, costs: CostTable | None
) -> ReplaySettings:
    environ: Mapping[str, str] = {
        "CANDLE_GRANULARITY": tape.granularity.value, **os.environ, **variant.knobs,
    }  # fmt: skip
    if environ["CANDLE_GRANULARITY"] != tape.granularity.value:
        raise ValueError(
            f"CANDLE_GRANULARITY is {environ['CANDLE_GRANULARITY']}, but the candles are "
            f"{tape.granularity.value}"
        )
    evaluator = load_settings(EvaluatorSettings, environ)
    return ReplaySettings(
        evaluator,
        load_settings(AllocatorSettings, environ),
        load_settings(GuardSettings, environ),
        args.balance,
        params=read_winners(args.params) if args.params else {},
        open_gates=args.open_gates,
        home=args.home,
        costs=evaluator.costs() if costs is None else costs,
    )


def _costs(args: argparse.Namespace) -> CostTable | None:
    if args.costs is None:
        return None
    if args.costs != _JOURNAL:
        return read_costs(args.costs)
    from sep_replay.parity.sources import StackSources

    key = None if args.key_file is None else args.key_file.read_text().strip()
    return StackSources(args.url, key).costs()


def _print_side_by_side(out: Path, variants: list[Variant], console: Console) -> None:
    table = Table(title="Settings", title_justify="left")
    for column in ("setting", "NAV", "drawdown %", "trades", "with a gain"):
        table.add_column(column, overflow="fold")
    for variant in variants:
        found = Run.read(out / variant.name).figures
        table.add_row(
            variant.name, f"{found.nav:.2f}", f"{found.drawdown_pct:.2f}", str(found.trades),
            str(found.wins),
        )  # fmt: skip
    console.print(table)
