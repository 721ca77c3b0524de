"""In-memory twin of the evaluator's store."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sep_evaluator.domain.evaluation import EvaluatedRun, GateMemory, PublishedGate
from sep_evaluator.domain.floors import BaseFloors, FloorsInForce
from sep_evaluator.domain.gates import GateState
from sep_evaluator.domain.parameter_changes import Change
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.domain.signals import Manifold, Signal
from sep_kit.errors import CorruptRecordError, NotTheWriterError


class InMemoryEvaluatorStore:
    """Implements ``EvaluatorStore``; nothing in it can be malformed."""

    def __init__(self, base: BaseFloors) -> None:
        self.is_writer = True
        self.params: dict[str, StrategyParams | CorruptRecordError] = {}
        self.signals: dict[str, dict[int, Signal]] = {}
        self.manifolds: dict[str, Manifold] = {}
        self.gates: dict[str, PublishedGate] = {}
        self.published_at: list[int] = []
        self.changes: list[Change] = []
        self._base = base
        self._states: dict[str, GateState] = {}
        self._floors: dict[str, FloorsInForce] = {}

    async def load_params(
        self, instruments: Sequence[str]
    ) -> dict[str, StrategyParams | CorruptRecordError]:
        return {i: self.params.get(i, StrategyParams()) for i in instruments}

    async def parameter_origins(self) -> dict[str, Change]:
        return {c.instrument: change for change in self.changes for c in change.changed}

    async def parameter_changes(self, limit: int, instrument: str | None) -> list[Change]:
        newest_first = reversed(self.changes)
        return [c for c in newest_first if instrument is None or c.of(instrument)][:limit]

    async def save_parameter_change(self, change: Change) -> None:
        self._require_lease()
        self.params |= {c.instrument: c.after for c in change.changed}
        self.changes.append(change)

    async def load_gate_memory(
        self, instruments: Sequence[str], now_ms: int
    ) -> dict[str, GateMemory]:
        memory = {}
        for i in instruments:
            state = self._states.get(i, GateState())
            if not state.cooling(now_ms):
                state = replace(state, cooldown_until=None)
            floors = self._floors.setdefault(i, FloorsInForce(self._base))
            floors.expire(now_ms)
            memory[i] = GateMemory(state, floors)
        return memory

    async def save_evaluations(self, evaluated: Sequence[EvaluatedRun], now_ms: int) -> None:
        self._require_lease()
        for run in evaluated:
            e = run.evaluation
            self._states[e.instrument] = e.state
            if e.sample is not None:
                self._floors.setdefault(e.instrument, FloorsInForce(self._base)).add(e.sample)
            self.gates[e.instrument] = PublishedGate(
                instrument=e.instrument,
                ts_ms=now_ms,
                gate=e.gate,
                cooldown=e.cooldown,
                buffer=e.buffer,
                reasons=tuple(str(r) for r in e.reasons),
                summary=e.summary,
                floors=e.floors,
                passes=e.state.passes,
                fails=e.state.fails,
                to_flip=e.to_flip,
            )
        self.published_at.append(now_ms)

    async def save_signals(
        self, signals: Mapping[str, Sequence[Signal]], *, keep_since_ms: int
    ) -> None:
        self._require_lease()
        for instrument, new in signals.items():
            merged = self.signals.get(instrument, {}) | {s.ts_ns: s for s in new}
            self.signals[instrument] = {
                ts: s for ts, s in merged.items() if ts // 1_000_000 >= keep_since_ms
            }

    async def save_manifolds(self, manifolds: Sequence[Manifold]) -> None:
        self._require_lease()
        self.manifolds.update({m.instrument: m for m in manifolds})

    async def latest_signals(
        self, instruments: Sequence[str]
    ) -> dict[str, Signal | CorruptRecordError | None]:
        return {
            i: self.signals[i][max(self.signals[i])] if self.signals.get(i) else None
            for i in instruments
        }

    async def recent_signals(self, instrument: str, count: int) -> list[Signal]:
        stored = sorted(self.signals.get(instrument, {}).items())
        return [signal for _, signal in stored[max(0, len(stored) - count) :]]

    async def latest_manifolds(
        self, instruments: Sequence[str]
    ) -> dict[str, Manifold | CorruptRecordError | None]:
        return {i: self.manifolds.get(i) for i in instruments}

    async def published_gates(self, instruments: Sequence[str]) -> dict[str, PublishedGate]:
        return {i: self.gates[i] for i in instruments if i in self.gates}

    def _require_lease(self) -> None:
        if not self.is_writer:
            raise NotTheWriterError("this replica does not hold the evaluator lease; ask again")
