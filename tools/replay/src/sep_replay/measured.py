"""``sep-replay costs``: what live trades paid beside the spread, to judge gates and sweeps by."""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from sep_evaluator.domain.costs import DEFAULT

from sep_replay.command_line import report_console, run_reporting_errors

if TYPE_CHECKING:
    from rich.console import Console
    from sep_evaluator.domain.costs import Costs, CostTable

_KNOB = "EVAL_COSTS_JSON"
_DIGITS = 4
_EPILOG = """\
With --env the gates pay the same from the evaluator's next start on:

  sep-replay costs --env >>practice.env

--json writes the file that --costs FILE of sep-replay and sep-research sweep reads. What is 0 is
left out.

exit codes: 0 measured · 1 not possible, or no closed trade · 2 bad arguments
"""


def costs_main(argv: list[str]) -> int:
    """Run the command."""
    args = _parser().parse_args(argv)
    return run_reporting_errors(lambda: _costs(args))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sep-replay costs",
        description="Measure the costs of the closed trades in the journal of a running stack.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--env", action="store_true", help=f"write the line of {_KNOB}")
    form.add_argument("--json", action="store_true", help="write the result as JSON to stdout")
    parser.add_argument(
        "--url", default=os.environ.get("SEP_URL", "http://127.0.0.1:8000"),
        help="address of the stack; SEP_URL, or %(default)s",
    )  # fmt: skip
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="file of an API key")
    return parser


def _costs(args: argparse.Namespace) -> int:
    from sep_replay.parity.sources import StackSources

    key = None if args.key_file is None else args.key_file.read_text().strip()
    # The evaluator refuses costs of an instrument that it does not evaluate.
    table = StackSources(args.url, key).costs(evaluated=args.env)
    if args.env:
        # Env files take double quotes in single ones alone.
        print(f"{_KNOB}='{json.dumps(_plain(table))}'")
    elif args.json:
        print(json.dumps(_plain(table), indent=1))
    else:
        _print(report_console(), table)
    return 0


def _by_name(table: "CostTable") -> dict[str, "Costs"]:
    return {DEFAULT: table.default, **dict(sorted(table.by_instrument.items()))}


def _plain(table: "CostTable") -> dict[str, dict[str, float]]:
    found = {}
    for name, costs in _by_name(table).items():
        rounded = {cost: round(value, _DIGITS) for cost, value in asdict(costs).items()}
        found[name] = {cost: value for cost, value in rounded.items() if value}
    return found


def _print(console: "Console", table: "CostTable") -> None:
    from rich.table import Table

    shown = Table(title="Costs of live trades", title_justify="left")
    for column in ("instrument", "slippage, spreads", "financing long, bps", "short, bps"):
        shown.add_column(column)
    for name, costs in _by_name(table).items():
        figures = (costs.slippage_spreads, costs.financing_long_bps, costs.financing_short_bps)
        shown.add_row(name, *(f"{figure:.{_DIGITS}f}" for figure in figures))
    console.print(shown)
