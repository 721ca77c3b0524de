"""What happened, as events: from decisions and orders to changes of parameters."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sep_journal.domain.decisions import Decision
from sep_journal.domain.parameters import ParametersChange


class EventKind(StrEnum):
    """What an event is about."""

    DECISION = "decision"
    ORDER = "order"
    FLIP = "flip"
    WEIGHTS = "weights"
    KILL_SWITCH = "kill_switch"
    PARAMETERS = "parameters"
    LOCK = "lock"
    ALERT = "alert"


_LOCKS = ("LOCKED", "UNLOCKED")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event without its id; ``data`` is a JSON object."""

    ts_ms: int
    kind: EventKind
    data: str
    instrument: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event with its id."""

    id: int
    event: NewEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """The published gates: open or not, and why not, by instrument."""

    ts_ms: int
    gates: Mapping[str, bool]
    reasons: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The published weights; ``held`` if they are the previous ones because of ``reason``."""

    ts_ms: int
    weights: Mapping[str, float]
    held: bool
    reason: str


def event_of(decision: Decision) -> NewEvent:
    """The event of a record of the guard."""
    return NewEvent(
        ts_ms=decision.ts_ms,
        kind=_kind(decision),
        instrument=decision.instrument,
        reasons=decision.reasons,
        data=_json(
            id=decision.id, event=decision.event, kind=decision.kind,
            client_order_id=decision.client_order_id,
        ),
    )  # fmt: skip


def _kind(decision: Decision) -> EventKind:
    if decision.event == "order":
        return EventKind.ORDER
    if decision.event == "risk":
        return EventKind.LOCK if decision.kind in _LOCKS else EventKind.ALERT
    return EventKind.DECISION


def flips(before: Mapping[str, bool], after: Gates) -> Iterator[NewEvent]:
    """The gates that opened or closed. One that was not published before was closed."""
    for instrument in sorted(before.keys() | after.gates.keys()):
        was, now = before.get(instrument, False), after.gates.get(instrument, False)
        if was != now:
            yield NewEvent(
                ts_ms=after.ts_ms,
                kind=EventKind.FLIP,
                instrument=instrument,
                reasons=tuple(after.reasons.get(instrument, ())),
                data=_json(gate=int(now)),
            )


def weights_changed(before: Mapping[str, Any] | None, after: Weights) -> Iterator[NewEvent]:
    """New weights, and an alert when they begin or end to be held."""
    content = weights_content(after)
    was_held = bool(before and before["held"])
    if before is None or before["weights"] != content["weights"]:
        yield NewEvent(ts_ms=after.ts_ms, kind=EventKind.WEIGHTS, data=_json(**content))
    if was_held != after.held:
        yield NewEvent(
            ts_ms=after.ts_ms,
            kind=EventKind.ALERT,
            reasons=("WEIGHTS_HELD",) if after.held else (),
            data=_json(kind="WEIGHTS_HELD", held=after.held, reason=after.reason),
        )


def event_of_parameters(change: ParametersChange) -> NewEvent:
    """The event of a change of one instrument's parameters."""
    return NewEvent(
        ts_ms=change.ts_ms,
        kind=EventKind.PARAMETERS,
        instrument=change.instrument,
        reasons=change.against,
        data=_json(
            change=change.id, run=change.run, digest=change.digest,
            digest_before=change.digest_before, actor=change.actor, reason=change.reason,
            forced_by=change.forced_by, rolls_back=change.rolls_back,
        ),
    )  # fmt: skip


def weights_content(weights: Weights) -> dict[str, Any]:
    """What makes weights different from the ones before."""
    return {"weights": dict(sorted(weights.weights.items())), "held": weights.held}


def _json(**values: Any) -> str:
    return json.dumps({n: v for n, v in values.items() if v != ""}, separators=(",", ":"))
