"""Notifications: what people are notified of, how urgently, and with which words."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sep_journal.domain.booking import Execution, ExecutionKind
from sep_journal.domain.decisions import StoredDecision
from sep_journal.domain.parameters import ParametersChange


class Kind(StrEnum):
    """What happened."""

    FILL = "fill"
    EXIT = "exit"
    BREAKER = "breaker"
    LOCK = "lock"
    KILL_SWITCH = "kill_switch"
    PARAMETERS = "parameters"
    FLIP = "flip"
    HELD = "held"
    SUMMARY = "summary"
    TEST = "test"


class Level(StrEnum):
    """How urgent a kind is: ``digest`` in the daily summary alone, ``critical`` at any hour."""

    OFF = "off"
    DIGEST = "digest"
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


DEFAULT_LEVELS: Mapping[Kind, Level] = {
    Kind.FILL: Level.INFO,
    Kind.EXIT: Level.INFO,
    Kind.BREAKER: Level.CRITICAL,
    Kind.LOCK: Level.WARNING,
    Kind.KILL_SWITCH: Level.CRITICAL,
    Kind.PARAMETERS: Level.WARNING,
    Kind.FLIP: Level.DIGEST,
    Kind.HELD: Level.WARNING,
    Kind.SUMMARY: Level.INFO,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message; the same event always has the same ``key``. ``ts_ms`` is the event's time."""

    key: str
    ts_ms: int
    kind: Kind
    title: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchChange:
    """A change of the kill switch; ``position`` is its place in the audit log."""

    position: str
    ts_ms: int
    engaged: bool
    reason: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StackState:
    """What is compared with its last observation.

    ``gates`` by instrument with ``gates_ms``, ``held`` with ``weights_ms``; None where there is
    nothing that can be read. ``switch_position`` is the end of the kill switch's audit log,
    ``parameters_position`` of the record of parameters.
    """

    gates: Mapping[str, bool] | None = None
    gates_ms: int = 0
    reasons: Mapping[str, Sequence[str]] = field(default_factory=dict)
    held: bool | None = None
    held_reason: str = ""
    weights_ms: int = 0
    switch_position: str = ""
    switch_changes: tuple[SwitchChange, ...] = ()
    parameters_position: str = ""
    parameters_changes: tuple[ParametersChange, ...] = ()


def of_execution(execution: Execution) -> Notification | None:
    """The fill or exit that an execution is; None for financing and the like."""
    name = f"{execution.trade_id}:{execution.transaction_id}:{execution.seq}"
    price = "" if execution.price is None else f" at {execution.price:f}"
    if execution.kind is ExecutionKind.OPEN:
        side = "bought" if execution.units > 0 else "sold"
        return Notification(
            key=f"fill:{name}",
            ts_ms=execution.ts_ms,
            kind=Kind.FILL,
            title=f"{execution.instrument}: {side} {abs(execution.units):f}{price}",
            body=f"Trade {execution.trade_id}, {execution.reason}."
            + ("" if execution.own else " Not an order of this stack."),
        )
    if execution.kind is ExecutionKind.CLOSE:
        return Notification(
            key=f"exit:{name}",
            ts_ms=execution.ts_ms,
            kind=Kind.EXIT,
            title=f"{execution.instrument}: closed {abs(execution.units):f}{price}, "
            f"P&L {execution.net:+f}",
            body=f"Trade {execution.trade_id}, {execution.reason}.",
        )
    return None


_RISK_TITLES = {
    "BREAKER_TRIPPED": (Kind.BREAKER, "Breaker tripped by {cause}"),
    "BREAKER_ACKNOWLEDGED": (Kind.BREAKER, "Breaker acknowledged by {actor}"),
    "LOCKED": (Kind.LOCK, "{instrument} locked: {cause}"),
    "UNLOCKED": (Kind.LOCK, "{instrument} unlocked by {actor}"),
}


def of_decision(decision: StoredDecision) -> Notification | None:
    """The change of breaker or locks that a record is; None for all other records."""
    found = _RISK_TITLES.get(decision.kind) if decision.event == "risk" else None
    if found is None:
        return None
    kind, title = found
    record: dict[str, Any] = json.loads(decision.record)
    words = {name: str(record.get(name, "")) for name in ("cause", "actor", "reason")}
    return Notification(
        key=f"{kind}:{decision.seq}:{decision.id}",
        ts_ms=decision.ts_ms,
        kind=kind,
        title=title.format(instrument=decision.instrument, **words),
        body=words["reason"],
    )


def of_changes(before: StackState, now: StackState) -> list[Notification]:
    """Flips, held weights, changes of kill switch and parameters since an observation."""
    found = [_of_switch(change) for change in now.switch_changes]
    found += [_of_parameters(change) for change in now.parameters_changes]
    if before.gates is not None and now.gates is not None:
        found += [
            _of_flip(instrument, now, is_open=is_open)
            for instrument, is_open in now.gates.items()
            if before.gates.get(instrument, is_open) != is_open
        ]
    if None not in (before.held, now.held) and before.held != now.held:
        title = "Weights are held" if now.held else "Weights are fresh again"
        found.append(
            Notification(
                key=f"held:{now.weights_ms}:{int(bool(now.held))}",
                ts_ms=now.weights_ms,
                kind=Kind.HELD,
                title=title,
                body=now.held_reason,
            )
        )
    return found


def _of_switch(change: SwitchChange) -> Notification:
    return Notification(
        key=f"kill_switch:{change.position}",
        ts_ms=change.ts_ms,
        kind=Kind.KILL_SWITCH,
        title=f"Kill switch {'engaged' if change.engaged else 'released'} by {change.actor}",
        body=change.reason,
    )


def _of_parameters(change: ParametersChange) -> Notification:
    return Notification(
        key=f"parameters:{change.id}:{change.instrument}",
        ts_ms=change.ts_ms,
        kind=Kind.PARAMETERS,
        title=change.title,
        body=change.reason,
    )


def _of_flip(instrument: str, now: StackState, *, is_open: bool) -> Notification:
    return Notification(
        key=f"flip:{instrument}:{now.gates_ms}",
        ts_ms=now.gates_ms,
        kind=Kind.FLIP,
        title=f"{instrument}: gate {'opened' if is_open else 'closed'}",
        body=", ".join(now.reasons.get(instrument, ())),
    )


def merged(before: StackState, now: StackState) -> StackState:
    """What to compare with next time: what could not be read stays as it was."""
    return StackState(
        gates=before.gates if now.gates is None else now.gates,
        held=before.held if now.held is None else now.held,
        switch_position=now.switch_position or before.switch_position,
        parameters_position=now.parameters_position or before.parameters_position,
    )


_MOST_LINES = 50


def digest_text(lines: Iterable[str]) -> str:
    """The lines of a digest, the first ones only where there are many."""
    found = list(lines)
    if len(found) <= _MOST_LINES:
        return "\n".join(found)
    return "\n".join([*found[:_MOST_LINES], f"and {len(found) - _MOST_LINES} more"])
