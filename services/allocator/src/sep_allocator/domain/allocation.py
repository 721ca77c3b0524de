"""Gates to weights: candidates, Top-K, shares and caps; or hold the previous weights."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from sep_fx.freshness import Freshness, age_of
from sep_fx.sessions import SessionState

from sep_allocator.domain.incumbents import (
    AT_MOST_ONCE_IN_MS,
    SWITCH_BY_DEFAULT,
    Challenge,
    SwitchLimits,
    select,
)
from sep_allocator.domain.score import ScoreWeights, Window, score

# Weights are rounded down to nine decimals, so that their sum can't exceed the target.
_SCALE = 1_000_000_000
# The gate's reason for candles that are too old. Alone it says nothing about the instrument.
_STALE = ("CANDLES_STALE",)


class HoldReason(StrEnum):
    """Why the previous weights are held."""

    BLOB_MISSING = "BLOB_MISSING"
    BLOB_MALFORMED = "BLOB_MALFORMED"
    BLOB_STALE = "BLOB_STALE"
    BLOB_FROM_FUTURE = "BLOB_FROM_FUTURE"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationLimits:
    """Limits of an allocation.

    ``target_pct`` is the total, a share of margin available; ``max_per_position_pct`` a share
    of the total. ``exit_minutes`` before its session closes an instrument is no candidate.
    """

    top_k: int
    target_pct: Decimal
    max_per_position_pct: Decimal
    max_blob_age_s: float
    exit_minutes: float
    score_weights: ScoreWeights
    switch: SwitchLimits = SWITCH_BY_DEFAULT

    @property
    def cap(self) -> Decimal:
        """Maximum weight of one instrument, as a share of margin available."""
        return self.target_pct * min(Decimal(1) / self.top_k, self.max_per_position_pct)


@dataclass(frozen=True, slots=True)
class Gates:
    """The published gates; ``gates`` is True while open, ``reasons`` say why not; ``ts`` in ms."""

    ts: int
    gates: Mapping[str, bool]
    cooldowns: Mapping[str, bool]
    reasons: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """Weights as shares of margin available; ``ts`` and ``gates_ts`` in ms.

    ``retained`` are the instruments whose weight is the previous one, because their candles
    are too old to judge them. ``challenges`` are those of ``incumbents.Selection``.
    ``displaced`` have lost their slot to a challenger and have not been closed since: their
    units don't count. ``switched_ms`` is when one with managed units last lost its slot.
    """

    ts: int
    gates_ts: int | None
    weights: Mapping[str, float]
    scores: Mapping[str, float]
    held: bool
    held_reason: HoldReason | None
    retained: tuple[str, ...] = ()
    challenges: Mapping[Challenge, int] = field(default_factory=dict)
    displaced: tuple[str, ...] = ()
    switched_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedUnits:
    """Instruments in which the guard manages units, as of ``ts`` in ms."""

    ts: int
    instruments: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWeights:
    """Weights as stored, for reports; ``held_reason`` may be unknown to this version."""

    ts: int
    weights: Mapping[str, float]
    held: bool
    held_reason: str


NOTHING = Allocation(
    ts=0, gates_ts=None, weights={}, scores={}, held=True, held_reason=HoldReason.BLOB_MISSING
)


def allocate(
    gates: Gates | HoldReason,
    windows: Mapping[str, Window],
    sessions: Mapping[str, SessionState],
    previous: Allocation,
    limits: AllocationLimits,
    now_ms: int,
    *,
    market_open: bool = True,
    managed: ManagedUnits | None = None,
) -> Allocation:
    """Allocate by the gates, or hold the previous weights if the gates can't be trusted.

    Instruments with managed units keep their slots, see ``incumbents``. One whose gate is
    closed for old candles alone keeps its weight and its slot.

    While the whole market is closed there are no candidates. That is not a decision, so the
    previous weights stay as they are, not held, and get older.

    Held weights keep their time, so that their age shows. An instrument without a window or a
    session is no candidate.

    Args:
        gates: the published gates, or why they can't be read.
        previous: the previous allocation.
        managed: the guard's units; while they are unknown or old, the previous selection counts.
    """
    reason = gates if isinstance(gates, HoldReason) else _hold_reason(gates, limits, now_ms)
    if reason is not None or isinstance(gates, HoldReason):
        return replace(previous, held=True, held_reason=reason)
    if not market_open and previous.ts:
        return replace(previous, held=False, held_reason=None)
    scores = {i: score(w, limits.score_weights) for i, w in windows.items()}
    # A score of zero or less gives no share of the target.
    candidates = {
        i: scores[i]
        for i, gate in gates.gates.items()
        if gate
        and not gates.cooldowns.get(i, True)
        and scores.get(i, 0) > 0
        and _tradeable(sessions.get(i), limits.exit_minutes, now_ms // 1000)
    }
    retained = _retained(gates, previous, limits)
    held = _held(managed, previous, limits, now_ms)
    displaced = [i for i in previous.displaced if i in held]
    last = previous.switched_ms
    selection = select(
        candidates,
        [i for i in held if i not in displaced],
        previous.challenges,
        max(0, limits.top_k - len(retained)),
        limits.switch,
        new_blob=gates.ts != previous.gates_ts,
        may_switch=last is None or now_ms - last >= AT_MOST_ONCE_IN_MS,
    )
    closes = managed is not None and selection.displaced in managed.instruments
    weights = weights_of({i: scores[i] for i in selection.selected}, limits)
    return Allocation(
        ts=now_ms,
        gates_ts=gates.ts,
        weights={**retained, **weights},
        scores=scores,
        held=False,
        held_reason=None,
        retained=tuple(retained),
        challenges=selection.challenges,
        displaced=tuple(
            i
            for i in dict.fromkeys((*displaced, selection.displaced))
            if i and i not in selection.selected
        ),
        switched_ms=now_ms if closes else last,
    )


def weights_of(scores: Mapping[str, float], limits: AllocationLimits) -> dict[str, float]:
    """Split the target in proportion to the scores, each share capped."""
    total = sum(Decimal(s) for s in scores.values())
    return {
        i: _floor(min(limits.target_pct * Decimal(s) / total, limits.cap))
        for i, s in scores.items()
    }


def _hold_reason(gates: Gates, limits: AllocationLimits, now_ms: int) -> HoldReason | None:
    age = age_of(gates.ts, now_ms, limits.max_blob_age_s, including_limit=True)
    if age.verdict is Freshness.FUTURE:
        return HoldReason.BLOB_FROM_FUTURE
    return HoldReason.BLOB_STALE if age.verdict is Freshness.STALE else None


def _held(
    managed: ManagedUnits | None, previous: Allocation, limits: AllocationLimits, now_ms: int
) -> Collection[str]:
    """Instruments that hold a slot: those with managed units in the guard's last report."""
    age = None if managed is None else age_of(managed.ts, now_ms, limits.max_blob_age_s)
    if managed is None or age is None or not age.fresh:
        return previous.weights.keys()
    return managed.instruments


def _retained(gates: Gates, previous: Allocation, limits: AllocationLimits) -> dict[str, float]:
    """Previous weights of instruments whose gate is closed for old candles alone, best first.

    Limits may have been lowered since, so each weight is at most today's cap.
    """
    stale = [
        i
        for i in previous.weights
        if not gates.gates.get(i, False) and tuple(gates.reasons.get(i, ())) == _STALE
    ]
    largest = sorted(stale, key=lambda i: (-previous.weights[i], i))[: limits.top_k]
    return {i: min(previous.weights[i], _floor(limits.cap)) for i in largest}


def _tradeable(session: SessionState | None, exit_minutes: float, now_s: int) -> bool:
    return session is not None and session.open and not session.near_close(now_s, exit_minutes)


def _floor(weight: Decimal) -> float:
    return int(weight * _SCALE) / _SCALE
