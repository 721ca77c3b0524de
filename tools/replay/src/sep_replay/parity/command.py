"""``sep-replay parity``: a day as it was traded, against the same day replayed."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sep_kit.settings.loading import load_settings

from sep_replay.command_line import (
    add_set_option,
    given_settings,
    report_console,
    run_reporting_errors,
)

if TYPE_CHECKING:
    from sep_replay.parity.live_day import LiveRecords
    from sep_replay.parity.sources import Inputs, StackSources

_EPILOG = """\
The day ends at 17:00 in New York. What was traded comes from the journal of the running stack
(--url), or from a file that has it; candles and promoted parameters from Valkey (VALKEY_URL), or
from --candles and --params. Knobs come from the environment, as for the services, or with --set;
they must be those that the stack ran with. Cash is what live earned more than the replay, in home
currency.

exit codes: 0 compared · 1 not possible · 2 bad arguments
"""


def parity_main(argv: list[str]) -> int:
    """Run the command."""
    args = _parser().parse_args(argv)
    return run_reporting_errors(lambda: _parity(args))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sep-replay parity",
        description="Compare a day as it was traded with the same day replayed.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--day", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
    parser.add_argument("--json", action="store_true", help="write the result as JSON to stdout")
    parser.add_argument("--live", metavar="FILE", help="what was traded, as JSON; - for stdin")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="address of the stack")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="file of an API key")
    parser.add_argument("--candles", type=Path, metavar="CATALOGUE|DIR")
    parser.add_argument("--params", type=Path, metavar="FILE", help="as of sep-replay")
    parser.add_argument("--warm-up-days", type=int, default=3, metavar="N",
        help="days before it on which gates and weights are made, without trading")  # fmt: skip
    parser.add_argument("--open-gates", action="store_true", help="as of sep-replay")
    add_set_option(parser)
    return parser


def _parity(args: argparse.Namespace) -> int:
    # Imported here: --help and bad arguments need not wait for the numeric packages.
    from sep_kit.logging import LogFormat, configure_logging

    from sep_replay.parity.report import as_json, print_divergence
    from sep_replay.parity.run import replay_day

    configure_logging("replay", LogFormat.CONSOLE, "WARNING")
    environ = {**os.environ, **given_settings(args)}
    live = _live(args)
    inputs = _inputs(args, live, environ)
    found = replay_day(
        live, inputs, environ, warm_up_days=args.warm_up_days, open_gates=args.open_gates
    )
    if args.json:
        print(json.dumps(as_json(args.day.isoformat(), found), indent=1))
    else:
        print_divergence(report_console(), args.day, found)
    return 0


def _live(args: argparse.Namespace) -> "LiveRecords":
    from sep_replay.parity.live_day import LiveRecords
    from sep_replay.parity.sources import day_bounds_ms

    if args.live is None:
        return _stack(args).live(*day_bounds_ms(args.day))
    text = sys.stdin.read() if args.live == "-" else Path(args.live).read_text(encoding="utf-8")
    document: Any = json.loads(text)
    return LiveRecords.of(document)


def _stack(args: argparse.Namespace) -> "StackSources":
    from sep_replay.parity.sources import StackSources

    key = None if args.key_file is None else args.key_file.read_text().strip()
    return StackSources(args.url, key)


def _inputs(args: argparse.Namespace, live: "LiveRecords", environ: Mapping[str, str]) -> "Inputs":
    from sep_evaluator.settings import EvaluatorSettings

    from sep_replay.parity.sources import Inputs, read_store
    from sep_replay.sources import Selection, read_tape
    from sep_replay.winners import read_winners

    end_s = live.end_ms // 1000
    if args.candles is None:
        return asyncio.run(
            read_store(load_settings(EvaluatorSettings, environ), live.start_ms // 1000, end_s)
        )
    tape = read_tape(args.candles, Selection(until=end_s))
    return Inputs(tape=tape, params=read_winners(args.params) if args.params else {})
