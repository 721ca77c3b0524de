"""Close exposure over the cap while the kill switch is engaged: plan, then execute.

Every order can only reduce, whoever opened the position. A run that was stopped is simply run
again: it plans from what is held then. Exits with 0 once nothing is over the cap (or with
--dry-run), with 1 when something is left, with 2 when the call itself is wrong, with 3 when the
kill switch is not engaged, and with 130 after Ctrl-C: an order under way may then be filled.
"""

import argparse
import re
from collections.abc import Sequence
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from stack_api import ApiError, Json, StackApi, add_connection_options
from stoppable import run, uninterrupted

REFUSED = 3
_ATTEMPTS = 3
_UNSURE = {"TIMEOUT", "UNREACHABLE"}


def main(argv: Sequence[str] | None = None) -> int:
    """Plan, and execute unless it is a dry run; the exit code."""
    arguments = _parser().parse_args(argv)
    console = Console()
    api = StackApi(arguments.url, arguments.key_file)
    limits = {"buffer_pct": arguments.buffer_pct, "min_units": arguments.min_units}
    try:
        if not api.get("/api/kill-switch")["kill_switch"]:
            console.print(
                "REFUSED: the kill switch is released; engage it first, so that nothing is opened"
                " while exposure is closed (POST /api/kill-switch).",
                style="red",
            )
            return REFUSED
        plan = api.post("/api/drain/plan", limits)
        console.print(_plan_table(plan))
        if not plan["closes"]:
            console.print("nothing is over the cap: nothing to close")
            return 0
        if arguments.dry_run:
            console.print("dry run: nothing was sent")
            return 0
        # One by one: each close is told as it is done, and Ctrl-C comes between two.
        for planned in plan["closes"]:
            name = planned["instrument"]
            request = {**limits, "drain_id": plan["drain_id"], "instrument": name}
            with console.status(f"closing {planned['close_units']} {name}"):
                closes = _execute(api, request)
            with uninterrupted():
                for close in closes:
                    console.print(_close_line(close), soft_wrap=True)
                if not closes:
                    console.print(f"close {name}: no longer over the cap")
        left = api.post("/api/drain/plan", limits)
    except ApiError as error:
        console.print(f"FAILED: {error}; run it again to go on", style="red")
        return REFUSED if error.reason == "KILL_SWITCH_RELEASED" else 1
    console.print(f"margin used {_money(left['margin_used'])}, cap {_money(left['margin_cap'])}")
    if left["closes"]:
        console.print(_plan_table(left, "still over the cap"))
    return 1 if left["closes"] else 0


def _execute(api: StackApi, request: Json) -> list[Json]:
    """What was closed now; asked again with the same id when the answer got lost."""
    for attempt in range(_ATTEMPTS):
        try:
            closes: list[Json] = api.post("/api/drain/execute", request)["closes"]
            return closes
        except ApiError as error:
            if error.reason not in _UNSURE or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _plan_table(plan: Json, title: str = "drain") -> Table:
    table = Table(
        "instrument", "held", "close", "margin freed", "why",
        title=f"{title}: margin used {_money(plan['margin_used'])}, cap"
        f" {_money(plan['margin_cap'])}, over it {_money(plan['excess'])}",
    )  # fmt: skip
    for close in plan["closes"]:
        table.add_row(
            close["instrument"],
            close["current_units"],
            close["close_units"],
            _money(close["margin_freed"]),
            close["reason"],
        )
    return table


def _money(decimal: str) -> str:
    return f"{Decimal(decimal):,.2f}"


def _close_line(close: Json) -> str:
    state, reason = close["order_state"], close["order_reason"]
    style = "green" if state == "FILLED" else "red"
    return (
        f"close {close['instrument']} {close['close_units']} of {close['current_units']}:"
        f" [{style}]{state}[/] {reason} {close['client_order_id']}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="drain_overcap_only.sh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan, send nothing")
    parser.add_argument(
        "--buffer-pct", type=_percent, default=5.0, metavar="N",
        help="let exposure be this far over a cap, in percent of it (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--min-units", type=_units, default="1", metavar="N",
        help="leave out closes of fewer units (%(default)s)",
    )  # fmt: skip
    add_connection_options(parser)
    return parser


def _percent(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"{text!r}: a number from 0 to 100")
    return number


def _units(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text):
        raise argparse.ArgumentTypeError(f"{text!r}: a number of units such as 1000")
    return text


if __name__ == "__main__":
    run(main, stopped="an order that was under way may be filled. Run it again to go on.")
