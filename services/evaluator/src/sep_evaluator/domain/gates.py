"""The gate machine: hysteresis, misses and cooldown, as one pure step."""

from dataclasses import dataclass, replace
from enum import StrEnum

from sep_evaluator.domain.floors import Floors
from sep_evaluator.domain.spans import SpanSummary

PASSES_TO_OPEN = 2
FAILS_TO_CLOSE = 2
MISSES_TO_COOL = 4
COOLDOWN_MS = 2 * 3_600_000
BUFFER_MIN, BUFFER_MAX = 0.0, 0.30


class Verdict(StrEnum):
    """What one evaluation says: above the band, below it, or inside."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    HOLD = "hold"


class GateReason(StrEnum):
    """Why a gate is closed."""

    COOLDOWN = "COOLDOWN"
    TRADES_LOW = "TRADES_LOW"
    CALMAR_LOW = "CALMAR_LOW"
    PNL_LOW = "PNL_LOW"
    PASSES_PENDING = "PASSES_PENDING"
    NO_DATA = "NO_DATA"
    CANDLES_STALE = "CANDLES_STALE"
    SPAN_INTEGRITY = "SPAN_INTEGRITY"
    SESSION_CLOSED = "SESSION_CLOSED"
    NEAR_CLOSE = "NEAR_CLOSE"


@dataclass(frozen=True, slots=True)
class GateState:
    """An instrument's hysteresis memory.

    ``passes``, ``fails`` and ``misses`` count consecutive evaluations; ``watermark``
    is the last bar (start, seconds) that was counted; ``cooldown_until`` in ms.
    """

    eligible: bool = False
    passes: int = 0
    fails: int = 0
    misses: int = 0
    watermark: int | None = None
    cooldown_until: int | None = None

    def cooling(self, now_ms: int) -> bool:
        """Whether the instrument cools down."""
        return self.cooldown_until is not None and now_ms < self.cooldown_until


@dataclass(frozen=True, slots=True)
class Distance:
    """A metric, the level it passes at and the level under which it fails."""

    metric: str
    value: float
    passes_at: float
    fails_below: float


def clamp_buffer(buffer: float) -> float:
    """The buffer inside [0, 0.30]."""
    return min(max(buffer, BUFFER_MIN), BUFFER_MAX)


def distances(summary: SpanSummary, floors: Floors, buffer: float) -> tuple[Distance, ...]:
    """Each metric beside the edges of its hysteresis band."""
    up, down = 1 + buffer, 1 - buffer
    pairs = (
        ("trades", float(summary.trades), floors.min_trades),
        ("calmar", summary.calmar, floors.calmar),
        ("pnl", summary.pnl_total, floors.pnl),
    )
    return tuple(Distance(name, value, f * up, f * down) for name, value, f in pairs)


def judge(band: tuple[Distance, ...]) -> Verdict:
    """Pass where every metric reaches its upper edge, fail where any is under its lower."""
    if all(d.value >= d.passes_at for d in band):
        return Verdict.PASS
    if any(d.value < d.fails_below for d in band):
        return Verdict.FAIL
    return Verdict.HOLD


def step(state: GateState, verdict: Verdict, watermark: int, now_ms: int) -> GateState:
    """The memory after one evaluation.

    The same watermark again changes nothing: the same data never counts twice. While
    the instrument cools down nothing counts either; the data that came in meanwhile is
    taken as seen, so that only fresh data counts afterwards.
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
        eligible = state.eligible or passes >= PASSES_TO_OPEN
        return replace(state, eligible=eligible, passes=passes, fails=0, misses=0)
    fails, misses = state.fails + 1, state.misses + 1
    if misses >= MISSES_TO_COOL:
        return GateState(watermark=watermark, cooldown_until=now_ms + COOLDOWN_MS)
    eligible = state.eligible and fails < FAILS_TO_CLOSE
    return replace(state, eligible=eligible, passes=0, fails=fails, misses=misses)


def evaluations_to_flip(state: GateState) -> int:
    """How many evaluations in a row it takes to flip the memory, from here."""
    if state.eligible:
        return max(1, FAILS_TO_CLOSE - state.fails)
    return max(1, PASSES_TO_OPEN - state.passes)


def hysteresis_reasons(
    state: GateState, band: tuple[Distance, ...], now_ms: int
) -> tuple[GateReason, ...]:
    """Why the memory is not eligible; empty when it is."""
    if state.cooling(now_ms):
        return (GateReason.COOLDOWN,)
    if state.eligible:
        return ()
    low = {
        "trades": GateReason.TRADES_LOW,
        "calmar": GateReason.CALMAR_LOW,
        "pnl": GateReason.PNL_LOW,
    }
    found = tuple(low[d.metric] for d in band if d.value < d.passes_at)
    return found or (GateReason.PASSES_PENDING,)
