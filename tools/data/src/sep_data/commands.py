"""The commands of ``sep-data``: what they call, and what they print."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_SECOND, format_seconds
from sep_fx.sessions import MarketCalendar
from sep_kit.clock import Clock

from sep_data.catalogue import Catalogue, key_of
from sep_data.checking import check
from sep_data.collecting import Options
from sep_data.errors import DataError
from sep_data.exporting import export
from sep_data.importing import import_files
from sep_data.pulling import connect, pull
from sep_data.rows import Side
from sep_data.text_files import files_in


def import_command(args: argparse.Namespace, _clock: Clock) -> int:
    """Import files; 0 also where bars were left out, which are counted."""
    options = Options(
        instrument=args.instrument,
        granularity=args.granularity,
        time_zone=args.time_zone,
        side=None if args.prices is None else Side(args.prices),
        spread_pips=args.spread,
        at_end=args.label == "end",
    )
    sources = import_files(Catalogue(args.out), args.format, files_in(args.files), options)
    if args.json:
        _print_json({"imported": [asdict(source) for source in sources]})
        return 0
    for source in sources:
        print(
            f"{source.instrument} {source.granularity}: {source.rows} rows, {source.bars} bars, "
            f"left out {_counts(source.left_out)}, repaired {_counts(source.repairs)}"
        )
        for example in source.examples:
            print(f"  {example}")
    return 0


def check_command(args: argparse.Namespace, clock: Clock) -> int:
    """Print what is at fault; 1 when anything is."""
    catalogue = Catalogue.existing(args.catalogue)
    now_s = clock.now_ns() // NS_PER_SECOND
    findings = list(check(catalogue, MarketCalendar(args.market_calendar), now_s))
    if args.json:
        series = [f"{i}/{g.value}" for i, g in catalogue.series()]
        _print_json({"series": series, "findings": [f.as_json() for f in findings]})
    else:
        print(*findings, sep="\n", end="\n" if findings else "")
        print(f"{sum(1 for _ in catalogue.series())} series checked, {len(findings)} findings")
    return 1 if findings else 0


def list_command(args: argparse.Namespace, _clock: Clock) -> int:
    """Print each series with its years, bars and range."""
    catalogue = Catalogue.existing(args.catalogue)
    rows = [_listed(catalogue, instrument, g) for instrument, g in catalogue.series()]
    if args.json:
        _print_json({"series": rows})
        return 0
    for row in rows:
        years = "-".join(map(str, sorted({row["years"][0], row["years"][-1]})))
        print(
            f"{row['instrument']} {row['granularity']}: {years}, {row['bars']} bars, "
            f"{row['first']} to {row['last']}"
        )
    return 0


def export_command(args: argparse.Namespace, _clock: Clock) -> int:
    """Write candle files."""
    granularity = None if args.granularity is None else Granularity(args.granularity)
    paths = export(
        Catalogue.existing(args.catalogue), args.out, instruments=args.instruments,
        granularity=granularity, since=args.since, until=args.until,
    )  # fmt: skip
    print(*paths, sep="\n")
    return 0


def pull_command(args: argparse.Namespace, clock: Clock) -> int:
    """Pull candles, up to the present unless --to is given."""
    until = clock.now_ns() // NS_PER_SECOND if args.until is None else args.until
    if args.since >= until:
        raise DataError(f"--from {format_seconds(args.since)} is not before the end of the range")
    with connect(args.url) as client:
        pulled = pull(
            Catalogue(args.catalogue), client, args.instruments, Granularity(args.granularity),
            args.since, until, _show_progress,
        )  # fmt: skip
    for instrument, bars in pulled.items():
        print(f"{instrument} {args.granularity}: {bars} bars")
    if not any(pulled.values()) and not Path(args.catalogue).is_dir():
        raise DataError("the gateway has no candle in this range")
    return 0


def _show_progress(instrument: str, bars: int) -> None:
    if sys.stderr.isatty():
        print(f"{instrument}: {bars} bars more", file=sys.stderr)


def _listed(catalogue: Catalogue, instrument: str, granularity: Granularity) -> dict[str, Any]:
    years = catalogue.years(instrument, granularity)
    entries = [catalogue.manifest.files[key_of(instrument, granularity, year)] for year in years]
    return {
        "instrument": instrument,
        "granularity": granularity.value,
        "years": years,
        "bars": sum(entry.bars for entry in entries),
        "first": format_seconds(entries[0].first),
        "last": format_seconds(entries[-1].last),
    }


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "none"


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, indent=1))
