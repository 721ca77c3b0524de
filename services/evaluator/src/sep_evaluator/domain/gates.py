"""Hysteresis of eligibility: passes, fails, misses and cooldown, as one pure step.

Eligibility is the memory. Whether the gate is open also depends on the circumstances at the
moment, see ``evaluation.py``.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from sep_evaluator.domain.floors import Floors
from sep_evaluator.domain.spans import SpanSummary

PASSES_TO_BECOME_ELIGIBLE = 2
FAILS_TO_LOSE_ELIGIBILITY = 2
MISSES_TO_COOL_DOWN = 4
COOLDOWN_MS = 2 * 3_600_000
BUFFER_MIN, BUFFER_MAX = 0.0, 0.30


class Verdict(StrEnum):
    """Outcome of one evaluation: above the hysteresis band, below it, or inside."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    HOLD = "hold"


class GateReason(StrEnum):
    """Why a gate is closed."""

    COOLDOWN = "COOLDOWN"
    TRADES_LOW = "TRADES_LOW"
    CALMAR_LOW = "CALMAR_LOW"
    PNL_LOW = "PNL_LOW"
    PASSES_PENDING = "PASSES_PENDING"
    PARAMETERS_NEW = "PARAMETERS_NEW"
    BAD_PARAMETERS = "BAD_PARAMETERS"
    NO_DATA = "NO_DATA"
    CANDLES_STALE = "CANDLES_STALE"
    SPAN_INTEGRITY = "SPAN_INTEGRITY"
    SESSION_CLOSED = "SESSION_CLOSED"
    NEAR_CLOSE = "NEAR_CLOSE"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateState:
    """An instrument's hysteresis memory.

    ``passes``, ``fails`` and ``misses`` count consecutive evaluations; ``watermark``
    is the start of the last bar that was counted, in seconds; ``cooldown_until`` is in ms.
    ``params`` is the digest of the parameters that were counted under, empty if unknown;
    ``params_new`` is True from a change of them until the instrument is eligible.
    """

    eligible: bool = False
    passes: int = 0
    fails: int = 0
    misses: int = 0
    watermark: int | None = None
    cooldown_until: int | None = None
    params: str = ""
    params_new: bool = False

    def cooling(self, now_ms: int) -> bool:
        """Whether the cooldown is running."""
        return self.cooldown_until is not None and now_ms < self.cooldown_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """A figure, the level at which it passes and the level below which it fails."""

    metric: str
    value: float
    passes_at: float
    fails_below: float


def clamp_buffer(buffer: float) -> float:
    """The buffer, limited to [0, 0.30]."""
    return min(max(buffer, BUFFER_MIN), BUFFER_MAX)


def distances(summary: SpanSummary, floors: Floors, buffer: float) -> tuple[Distance, ...]:
    """Each figure with the two edges of its hysteresis band: floor * (1 +- buffer).

    A P&L floor of 0 would have no band. Its edges are the buffer times the figure's own range:
    the inter-quartile range of its history, or the slice's maximum drawdown while there is none.
    """
    up, down = 1 + buffer, 1 - buffer
    width = summary.max_drawdown if floors.pnl_range is None else floors.pnl_range
    w = buffer * width if floors.pnl == 0 else 0.0
    return (
        Distance(
            metric="trades",
            value=float(summary.trades),
            passes_at=floors.min_trades * up,
            fails_below=floors.min_trades * down,
        ),
        Distance(
            metric="calmar",
            value=summary.calmar,
            passes_at=floors.calmar * up,
            fails_below=floors.calmar * down,
        ),
        Distance(
            metric="pnl",
            value=summary.pnl_total,
            passes_at=floors.pnl * up + w,
            fails_below=floors.pnl * down - w,
        ),
    )


def judge(band: tuple[Distance, ...]) -> Verdict:
    """PASS if every metric reaches its upper edge, FAIL if any is below its lower edge."""
    if all(d.value >= d.passes_at for d in band):
        return Verdict.PASS
    if any(d.value < d.fails_below for d in band):
        return Verdict.FAIL
    return Verdict.HOLD


def under(state: GateState, params: str) -> GateState:
    """The state under the parameters in force.

    Other parameters than those counted under leave nothing but the watermark and a cooldown. A
    state of unknown parameters was written by an earlier version, and counts for these.

    Args:
        params: digest of the parameters in force.
    """
    if state.params == params:
        return state
    if not state.params:
        return replace(state, params=params)
    return GateState(
        watermark=state.watermark,
        cooldown_until=state.cooldown_until,
        params=params,
        params_new=True,
    )


def step(state: GateState, verdict: Verdict, watermark: int, now_ms: int) -> GateState:
    """The state after one evaluation.

    A watermark that was counted already changes nothing: the same data never counts twice.
    During a cooldown only the watermark moves, so that data of that time does not count
    afterwards.
    """
    if state.watermark is not None and watermark <= state.watermark:
        return state
    if state.cooling(now_ms):
        return replace(state, watermark=watermark)
    state = replace(state, watermark=watermark, cooldown_until=None)
    if verdict is Verdict.HOLD:
        return replace(state, passes=0, fails=0, misses=0)
    if verdict is Verdict.PASS:
        passes = state.passes + 1
        eligible = state.eligible or passes >= PASSES_TO_BECOME_ELIGIBLE
        new = state.params_new and not eligible
        return replace(state, eligible=eligible, passes=passes, fails=0, misses=0, params_new=new)
    fails, misses = state.fails + 1, state.misses + 1
    if misses >= MISSES_TO_COOL_DOWN:
        return GateState(
            watermark=watermark,
            cooldown_until=now_ms + COOLDOWN_MS,
            params=state.params,
            params_new=state.params_new,
        )
    eligible = state.eligible and fails < FAILS_TO_LOSE_ELIGIBILITY
    return replace(state, eligible=eligible, passes=0, fails=fails, misses=misses)


def evaluations_to_flip(state: GateState) -> int:
    """How many consecutive evaluations it takes at least to flip eligibility from this state."""
    if state.eligible:
        return max(1, FAILS_TO_LOSE_ELIGIBILITY - state.fails)
    return max(1, PASSES_TO_BECOME_ELIGIBLE - state.passes)


def hysteresis_reasons(
    state: GateState, band: tuple[Distance, ...], now_ms: int
) -> tuple[GateReason, ...]:
    """Why the instrument is not eligible; empty if it is."""
    new = (GateReason.PARAMETERS_NEW,) if state.params_new else ()
    if state.cooling(now_ms):
        return (*new, GateReason.COOLDOWN)
    if state.eligible:
        return ()
    low = {
        "trades": GateReason.TRADES_LOW,
        "calmar": GateReason.CALMAR_LOW,
        "pnl": GateReason.PNL_LOW,
    }
    found = (*new, *(low[d.metric] for d in band if d.value < d.passes_at))
    return found or (GateReason.PASSES_PENDING,)
