"""Send a test alert to Alertmanager, and say whether each destination took it.

The alert takes the route of real ones of its severity: a page goes to the phone, a ticket to where
tickets go. It resolves by itself after five minutes. Exits with 0 if every destination took it,
with 1 if one did not, if there is none, if the alert is suppressed, or if Alertmanager does not
answer or does not count by receiver, with 2 when the call itself is wrong.
"""

import argparse
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from sep_kit.clock import Clock, now_ms, now_s

from sep_ops.alertmanager import (
    Alertmanager,
    AlertmanagerError,
    AlertState,
    Destination,
    Requests,
)
from sep_ops.command import DONE, FAILED, Command

DEFAULT_URL = "http://127.0.0.1:9093"
NAME = "SepAlertTest"
_MARK = "test"
_LASTS = timedelta(minutes=5)
_POLL_S = 0.5
_LONGEST_WAIT_S = 600
_FEATURE = "--enable-feature=receiver-name-in-metrics"


class Outcome(NamedTuple):
    """What became of the alert at one destination, or before one."""

    place: str
    delivered: bool
    words: str


def judge(
    state: AlertState | None,
    before: Mapping[Destination, Requests],
    after: Mapping[Destination, Requests],
) -> list[Outcome]:
    """What became of a test alert, from the requests before it was sent and after.

    Args:
        state: what Alertmanager does with the alert; None if it does not list it.
    """
    if state is None:
        return [Outcome("Alertmanager", False, "the alert is not listed")]
    if state.suppressed:
        return [Outcome("Alertmanager", False, "a silence, or another alert, suppresses the alert")]
    if any(not place.receiver for place in after):
        words = f"delivery can't be seen; start Alertmanager with {_FEATURE}"
        return [Outcome(", ".join(state.receivers), False, words)]
    outcomes = []
    for receiver in state.receivers:
        places = [place for place in after if place.receiver == receiver]
        if not places:
            outcomes.append(
                Outcome(receiver, False, "no destination in Alertmanager's configuration")
            )
        outcomes += [
            _judge(place, before.get(place, Requests(0, 0)), after[place]) for place in places
        ]
    return outcomes


def _judge(place: Destination, before: Requests, after: Requests) -> Outcome:
    name = f"{place.receiver} by {place.integration}"
    sent, failed = after.sent - before.sent, after.failed - before.failed
    if sent > failed:
        return Outcome(name, True, "delivered")
    if failed:
        return Outcome(name, False, f"{failed} requests failed; Alertmanager's log has the cause")
    return Outcome(name, False, "nothing was sent yet; --wait gives it longer")


def run(options: argparse.Namespace, clock: Clock) -> int:
    """Send the alert, print the outcomes and return the exit code."""
    console = Console(soft_wrap=True, highlight=False)
    try:
        with Alertmanager(options.url) as alertmanager:
            outcomes = _send(alertmanager, options.severity, options.wait, clock)
    except AlertmanagerError as error:
        console.print(f"FAILED: {error}", style="red", markup=False)
        return FAILED
    for outcome in outcomes:
        words = outcome.words if outcome.delivered else f"FAILED: {outcome.words}"
        console.print(f"{outcome.place}: {words}", markup=False)
    return DONE if all(outcome.delivered for outcome in outcomes) else FAILED


def _send(alertmanager: Alertmanager, severity: str, wait_s: int, clock: Clock) -> list[Outcome]:
    before = alertmanager.requests()
    mark, now = str(now_ms(clock)), datetime.fromtimestamp(now_s(clock), UTC)
    alertmanager.send(
        {
            "labels": {"alertname": NAME, "severity": severity, _MARK: mark},
            "annotations": {
                "summary": "A test. Nothing is wrong and nothing is to be done",
                "runbook": "docs/operations/alerts.md",
            },
            "startsAt": now.isoformat(),
            "endsAt": (now + _LASTS).isoformat(),
        }
    )
    deadline = time.monotonic() + wait_s
    delivered = False
    while True:
        state = alertmanager.find(_MARK, mark)
        outcomes = judge(state, before, alertmanager.requests())
        # A request is counted before its failure is: only what is read twice holds.
        if delivered and all(outcome.delivered for outcome in outcomes):
            return outcomes
        delivered = all(outcome.delivered for outcome in outcomes)
        if time.monotonic() >= deadline and not delivered:
            return outcomes
        time.sleep(_POLL_S)


def _seconds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _LONGEST_WAIT_S:
        raise argparse.ArgumentTypeError(f"whole seconds, 1 to {_LONGEST_WAIT_S}, not {text}")
    return int(text)


def add_options(parser: argparse.ArgumentParser, _project: Path) -> None:
    """Add the options; ``--test`` is required, since without it nothing would be sent."""
    parser.add_argument("--test", action="store_true", required=True, help="send a test alert now")
    parser.add_argument(
        "--severity", choices=("page", "ticket"), default="page", help="whose route it takes; page"
    )
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=30,
        metavar="SECONDS",
        help="longest wait for delivery; %(default)s",
    )
    parser.add_argument(
        "--url",
        default=os.environ.get("ALERTMANAGER_URL", DEFAULT_URL),
        help="where Alertmanager listens; ALERTMANAGER_URL, or %(default)s",
    )


COMMAND = Command(
    name="alert",
    summary="send a test alert to Alertmanager, as far as the phone",
    description=__doc__,
    add_options=add_options,
    run=run,
    interrupted="a test alert may have been sent; nothing else was changed",
)
