"""Close exposure over the cap while the kill switch is engaged: plan, then execute.

Every order only reduces a position, also one that was opened by hand. A run that was stopped is
simply repeated: it plans from the positions of that moment. Exits with 0 once nothing is over the
cap (or with --dry-run), with 1 when something is left, with 2 when the call itself is wrong, with 3
when the kill switch is not engaged, and with 130 after Ctrl-C: an order in progress may then be
filled.
"""

import argparse
import re
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sep_client.models import DrainClose, PlanDrainResponse
from sep_kit.clock import Clock

from sep_ops.command import DONE, FAILED, Command
from sep_ops.connection import CallError, StackClient, add_connection_options, connect
from sep_ops.interrupts import deferred_interrupts

REFUSED = 3
"""Exit code while the kill switch is not engaged."""

_ATTEMPTS = 3
_OUTCOME_UNKNOWN = {"TIMEOUT", "UNREACHABLE"}


class Drain:
    """A drain of one stack.

    Args:
        buffer_pct: exposure this far over a cap is left alone, in percent of the cap.
        min_units: closes of fewer units are left out.
    """

    def __init__(
        self, client: StackClient, console: Console, buffer_pct: float, min_units: Decimal
    ) -> None:
        self._client = client
        self._console = console
        self._buffer_pct = buffer_pct
        self._min_units = min_units

    def plan(self) -> PlanDrainResponse:
        """The positions that a drain would close now.

        Raises:
            CallError: the call was refused, or there was no answer.
        """
        return self._client.plan_drain(buffer_pct=self._buffer_pct, min_units=self._min_units)

    def execute(self, plan: PlanDrainResponse) -> None:
        """Close what the plan lists, instrument by instrument, and print each result.

        One call per instrument: each result is printed as it is known, and Ctrl-C takes effect
        between two.

        Raises:
            CallError: a call was refused, or there was no answer.
        """
        for planned in plan.closes:
            name = planned.instrument
            with self._console.status(f"closing {planned.close_units:f} {name}"):
                closes = self._close(plan.drain_id, name)
            with deferred_interrupts():
                for close in closes:
                    self._console.print(_close_line(close), soft_wrap=True)
                if not closes:
                    self._console.print(f"close {name}: no longer over the cap")

    def _close(self, drain_id: str, instrument: str) -> tuple[DrainClose, ...]:
        """Close one instrument; the drain id makes it safe to repeat a call without an answer."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._client.execute_drain(
                    drain_id,
                    buffer_pct=self._buffer_pct,
                    min_units=self._min_units,
                    instrument=instrument,
                ).closes
            except CallError as error:
                if error.reason not in _OUTCOME_UNKNOWN or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")


def run(options: argparse.Namespace, _clock: Clock) -> int:
    """Plan, execute unless it is a dry run, and return the exit code."""
    console = Console()
    try:
        with connect(options) as client:
            drain = Drain(client, console, options.buffer_pct, options.min_units)
            if not client.kill_switch().kill_switch:
                console.print(
                    "REFUSED: the kill switch is released; engage it first, so that nothing is"
                    " opened while exposure is closed (POST /api/kill-switch).",
                    style="red",
                )
                return REFUSED
            plan = drain.plan()
            console.print(_plan_table(plan))
            if not plan.closes:
                console.print("nothing is over the cap: nothing to close")
                return DONE
            if options.dry_run:
                console.print("dry run: nothing was sent")
                return DONE
            drain.execute(plan)
            left = drain.plan()
    except CallError as error:
        console.print(f"FAILED: {error}; run it again to go on", style="red")
        return REFUSED if error.reason == "KILL_SWITCH_RELEASED" else FAILED
    console.print(f"margin used {_money(left.margin_used)}, cap {_money(left.margin_cap)}")
    if left.closes:
        console.print(_plan_table(left, "still over the cap"))
    return FAILED if left.closes else DONE


def _plan_table(plan: PlanDrainResponse, title: str = "drain") -> Table:
    table = Table(
        "instrument", "held", "close", "margin freed", "why",
        title=f"{title}: margin used {_money(plan.margin_used)}, cap"
        f" {_money(plan.margin_cap)}, over it {_money(plan.excess)}",
    )  # fmt: skip
    for close in plan.closes:
        table.add_row(
            close.instrument,
            f"{close.current_units:f}",
            f"{close.close_units:f}",
            _money(close.margin_freed),
            close.reason,
        )
    return table


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def _close_line(close: DrainClose) -> str:
    style = "green" if close.order_state == "FILLED" else "red"
    return (
        f"close {close.instrument} {close.close_units:f} of {close.current_units:f}:"
        f" [{style}]{close.order_state}[/] {close.order_reason} {close.client_order_id}"
    )


def add_options(parser: argparse.ArgumentParser, project: Path) -> None:
    """Add the limits of the drain and the connection options."""
    parser.add_argument("--dry-run", action="store_true", help="print the plan, send nothing")
    parser.add_argument(
        "--buffer-pct", type=_percent, default=5.0, metavar="N",
        help="let exposure be this far over a cap, in percent of it (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--min-units", type=_units, default="1", metavar="N",
        help="leave out closes of fewer units (%(default)s)",
    )  # fmt: skip
    add_connection_options(parser, project)


def _percent(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"{text!r}: a number from 0 to 100")
    return number


def _units(text: str) -> Decimal:
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text):
        raise argparse.ArgumentTypeError(f"{text!r}: a number of units such as 1000")
    return Decimal(text)


COMMAND = Command(
    name="drain",
    summary="close exposure over the cap while the kill switch is engaged",
    description=__doc__,
    add_options=add_options,
    run=run,
    interrupted="an order that was in progress may be filled. Run it again to go on.",
)
