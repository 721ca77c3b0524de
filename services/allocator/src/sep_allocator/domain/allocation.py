"""Gates to weights: candidates, Top-K, shares and caps; or hold the previous weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from sep_fx.instants import CLOCK_SKEW_S
from sep_fx.sessions import SessionState

from sep_allocator.domain.score import ScoreWeights, Window, score

# Weights are rounded down to nine decimals, so that their sum can't exceed the target.
_SCALE = 1_000_000_000


class HoldReason(StrEnum):
    """Why the previous weights are held."""

    BLOB_MISSING = "BLOB_MISSING"
    BLOB_MALFORMED = "BLOB_MALFORMED"
    BLOB_STALE = "BLOB_STALE"
    BLOB_FROM_FUTURE = "BLOB_FROM_FUTURE"


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Allocation:
    """Weights as shares of margin available; ``ts`` and ``gates_ts`` in ms."""

    ts: int
    gates_ts: int | None
    weights: Mapping[str, float]
    scores: Mapping[str, float]
    held: bool
    held_reason: HoldReason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWeights:
    """Weights as stored, for reports; ``held_reason`` may be unknown to this version."""

    ts: int
    weights: Mapping[str, float]
    held: bool
    held_reason: str


NOTHING = Allocation(0, None, {}, {}, held=True, held_reason=HoldReason.BLOB_MISSING)


def allocate(
    gates: Gates | HoldReason,
    windows: Mapping[str, Window],
    sessions: Mapping[str, SessionState],
    previous: Allocation,
    limits: AllocationLimits,
    now_ms: int,
    *,
    market_open: bool = True,
) -> Allocation:
    """Allocate by the gates, or hold the previous weights if the gates can't be trusted.

    While the whole market is closed there are no candidates. That is not a decision, so the
    previous weights stay as they are, not held, and get older.

    Held weights keep their time, so that their age shows. An instrument without a window or a
    session is no candidate.

    Args:
        gates: the published gates, or why they can't be read.
        previous: the previous allocation.
    """
    reason = gates if isinstance(gates, HoldReason) else _hold_reason(gates, limits, now_ms)
    if reason is not None or isinstance(gates, HoldReason):
        return Allocation(
            previous.ts, previous.gates_ts, previous.weights, previous.scores, True, reason
        )
    if not market_open and previous.ts:
        return replace(previous, held=False, held_reason=None)
    scores = {i: score(w, limits.score_weights) for i, w in windows.items()}
    candidates = [
        i
        for i, gate in gates.gates.items()
        if gate
        and not gates.cooldowns.get(i, True)
        and i in scores
        and _tradeable(sessions.get(i), limits.exit_minutes, now_ms // 1000)
    ]
    # A score of zero or less gives no share of the target.
    ranked = sorted((i for i in candidates if scores[i] > 0), key=lambda i: (-scores[i], i))
    selected = ranked[: limits.top_k]
    return Allocation(
        now_ms, gates.ts, weights_of({i: scores[i] for i in selected}, limits), scores, False, None
    )


def weights_of(scores: Mapping[str, float], limits: AllocationLimits) -> dict[str, float]:
    """Split the target in proportion to the scores, each share capped."""
    total = sum(Decimal(s) for s in scores.values())
    return {
        i: _floor(min(limits.target_pct * Decimal(s) / total, limits.cap))
        for i, s in scores.items()
    }


def _hold_reason(gates: Gates, limits: AllocationLimits, now_ms: int) -> HoldReason | None:
    age_ms = now_ms - gates.ts
    if age_ms < -CLOCK_SKEW_S * 1000:
        return HoldReason.BLOB_FROM_FUTURE
    return HoldReason.BLOB_STALE if age_ms > limits.max_blob_age_s * 1000 else None


def _tradeable(session: SessionState | None, exit_minutes: float, now_s: int) -> bool:
    return session is not None and session.open and not session.near_close(now_s, exit_minutes)


def _floor(weight: Decimal) -> float:
    return int(weight * _SCALE) / _SCALE
