"""Option values of the command line as domain values: parameters, grid, market, instrument."""

import argparse
import json
from pathlib import Path

import yaml
from sep_fx import candle_csv
from sep_fx.granularity import Granularity
from sep_fx.instrument import is_instrument_name
from sep_fx.sessions import MarketCalendar, SessionCalendar

from sep_evaluator.cli.cost_specs import read_costs
from sep_evaluator.cli.files import UsageError
from sep_evaluator.cli.sweep import Market, combinations
from sep_evaluator.domain.costs import NO_COST_TABLE
from sep_evaluator.domain.params import StrategyParams


def params_of(text: str) -> StrategyParams:
    """Parse parameters from JSON text, or from the file named after ``@``.

    Raises:
        UsageError: the file can't be read, or a parameter is unknown or out of range.
    """
    try:
        if text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError("expected a JSON object")
        return StrategyParams.from_mapping(fields)
    except (OSError, ValueError) as error:
        raise UsageError(f"--params: {error}") from None


def grid_of(path: Path) -> tuple[list[str], list[StrategyParams]]:
    """Read a grid file; return the parameter names in it and all combinations.

    Raises:
        UsageError: the file can't be read, or a parameter is unknown or out of range.
    """
    try:
        grid = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(grid, dict) or not grid:
            raise ValueError("expected parameter names, each with a value or a list of values")
        return list(grid), combinations(grid)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"--grid: {' '.join(str(error).split())}") from None


def market_of(arguments: argparse.Namespace, path: Path) -> Market:
    """Bar length, sessions and costs.

    Without ``--granularity`` the bar length is taken from the file's name, or is M1.

    Raises:
        UsageError: an unknown granularity, exit minutes out of range, or costs that can't be used.
    """
    named = path.name.split("_")[2:3]
    name = arguments.granularity or (named[0].split(".")[0] if named else "M1")
    if name not in list(Granularity):
        if arguments.granularity:
            known = ", ".join(Granularity)
            raise UsageError(f"--granularity is {name!r}, allowed are {known}")
        name = "M1"
    if not 0 <= arguments.exit_minutes <= 1440:
        raise UsageError(f"--exit-minutes is {arguments.exit_minutes}, allowed is 0 to 1440")
    calendar = SessionCalendar(MarketCalendar(arguments.market_calendar))
    try:
        costs = NO_COST_TABLE if arguments.costs is None else read_costs(arguments.costs)
    except ValueError as error:
        raise UsageError(f"--costs: {error}") from None
    return Market(
        granularity_s=Granularity(name).seconds,
        calendar=calendar,
        exit_minutes=arguments.exit_minutes,
        costs=costs,
    )


def instrument_of(arguments: argparse.Namespace) -> str:
    """The instrument given by ``--instrument``, else the one in the file's name.

    Raises:
        UsageError: neither names an instrument and the calendar has sessions.
    """
    if arguments.instrument is None:
        try:
            return candle_csv.instrument_of(arguments.candles)
        except ValueError as error:
            if arguments.market_calendar == "24x7":
                return "UNNAMED"
            raise UsageError(f"{error}; give --instrument") from None
    name: str = arguments.instrument
    if not is_instrument_name(name):
        raise UsageError(f"--instrument is {name!r}, expected a name like EUR_USD")
    return name
