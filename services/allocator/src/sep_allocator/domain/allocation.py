"""Gates blob to weights: candidates, Top-K, shares and caps; or hold what was."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from sep_fx.instants import CLOCK_SKEW_S
from sep_fx.sessions import SessionState

from sep_allocator.domain.score import ScoreWeights, Window, score

# Weights are cut to nine decimals, downwards, so that rounding never adds up to more.
_SCALE = 1_000_000_000


class HoldReason(StrEnum):
    """Why earlier weights are kept."""

    BLOB_MISSING = "BLOB_MISSING"
    BLOB_MALFORMED = "BLOB_MALFORMED"
    BLOB_STALE = "BLOB_STALE"
    BLOB_FROM_FUTURE = "BLOB_FROM_FUTURE"


@dataclass(frozen=True, slots=True)
class AllocationLimits:
    """How much, to how many, from how old a blob. ``target_pct`` is a share of margin available."""

    top_k: int
    target_pct: Decimal
    max_per_position_pct: Decimal
    max_blob_age_s: float
    exit_minutes: float
    score_weights: ScoreWeights

    @property
    def cap(self) -> Decimal:
        """Most that one instrument may get, as a share of margin available."""
        return self.target_pct * min(Decimal(1) / self.top_k, self.max_per_position_pct)


@dataclass(frozen=True, slots=True)
class Gates:
    """The trusted part of a blob; ``ts`` in ms."""

    ts: int
    gates: Mapping[str, bool]
    cooldowns: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Allocation:
    """Weights as shares of margin available; ``ts`` and ``gates_ts`` in ms."""

    ts: int
    gates_ts: int | None
    weights: Mapping[str, float]
    scores: Mapping[str, float]
    held: bool
    held_reason: HoldReason | None


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
    """The weights after a blob, or the previous ones, held.

    While the market as a whole is shut nobody is a candidate, and that says nothing: the
    previous weights stay as they are, and get older.

    Held weights keep the time they were made at, so that their age shows. An
    instrument without a window or session is no candidate: what can't be read is a no.

    Args:
        gates: the blob, or why there is none to trust.
        previous: what was allocated before.
    """
    reason = gates if isinstance(gates, HoldReason) else _distrust(gates, limits, now_ms)
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
    # An instrument whose score is not above zero has no share to ask for.
    ranked = sorted((i for i in candidates if scores[i] > 0), key=lambda i: (-scores[i], i))
    selected = ranked[: limits.top_k]
    return Allocation(
        now_ms, gates.ts, weights_of({i: scores[i] for i in selected}, limits), scores, False, None
    )


def weights_of(scores: Mapping[str, float], limits: AllocationLimits) -> dict[str, float]:
    """Target share by score, capped an instrument; the sum never passes the target."""
    total = sum(Decimal(s) for s in scores.values())
    return {
        i: _floor(min(limits.target_pct * Decimal(s) / total, limits.cap))
        for i, s in scores.items()
    }


def _distrust(gates: Gates, limits: AllocationLimits, now_ms: int) -> HoldReason | None:
    age_ms = now_ms - gates.ts
    if age_ms < -CLOCK_SKEW_S * 1000:
        return HoldReason.BLOB_FROM_FUTURE
    return HoldReason.BLOB_STALE if age_ms > limits.max_blob_age_s * 1000 else None


def _tradeable(session: SessionState | None, exit_minutes: float, now_s: int) -> bool:
    return session is not None and session.open and not session.near_close(now_s, exit_minutes)


def _floor(weight: Decimal) -> float:
    return int(weight * _SCALE) / _SCALE
