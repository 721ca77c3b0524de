"""The evaluator's store over Valkey; writes go through the writer lease."""

from collections.abc import Mapping, Sequence

from redis.asyncio.client import Pipeline
from sep_kit.errors import CorruptRecordError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey
from sep_kit.store.documents import read_documents
from sep_kit.store.lease import Lease
from sep_kit.store.signals import SignalStore, queue_index_trim, queue_manifold, queue_signal

from sep_evaluator.adapters.evaluation_record import EvaluationRecord
from sep_evaluator.adapters.gate_memory import StoredGateMemory, queue_memory
from sep_evaluator.adapters.gates_blob import blob_of
from sep_evaluator.adapters.parameter_changes import queue_change, read_changes, read_origins
from sep_evaluator.adapters.signal_records import (
    manifold_of,
    manifold_record,
    signal_of,
    signal_record,
)
from sep_evaluator.adapters.strategy_params import StoredParams
from sep_evaluator.domain.evaluation import EvaluatedRun, GateMemory, PublishedGate
from sep_evaluator.domain.floors import BaseFloors
from sep_evaluator.domain.parameter_changes import Change
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.domain.signals import Manifold, Signal


class ValkeyEvaluatorStore:
    """Implements ``EvaluatorStore``.

    Args:
        base: lower bounds of the floors.
        signal_ttl_s: how long a signal is stored, in seconds.
    """

    def __init__(
        self, store: Valkey, lease: Lease, base: BaseFloors, *, signal_ttl_s: float
    ) -> None:
        self._store = store
        self._lease = lease
        self._signal_ttl_s = signal_ttl_s
        self._params = StoredParams(store)
        self._memory = StoredGateMemory(store, base)
        self._signals = SignalStore(store)

    @property
    def is_writer(self) -> bool:
        """Whether this replica holds the writer lease, as far as it knows."""
        return self._lease.held

    async def load_params(
        self, instruments: Sequence[str]
    ) -> dict[str, StrategyParams | CorruptRecordError]:
        """Parameters of each instrument; the defaults if none are stored, an error if invalid."""
        return await self._params.load(instruments)

    async def parameter_origins(self) -> dict[str, Change]:
        """The last change of each instrument's parameters; instruments without one are left out."""
        return await read_origins(self._store)

    async def parameter_changes(self, limit: int, instrument: str | None) -> list[Change]:
        """At most ``limit`` changes of parameters, the newest first; of one instrument or all."""
        return await read_changes(self._store, limit, instrument)

    async def save_parameter_change(self, change: Change) -> None:
        """Put the parameters of a change into force and record it, in one transaction."""
        await self._lease.write(lambda pipe: queue_change(pipe, change))

    async def load_gate_memory(
        self, instruments: Sequence[str], now_ms: int
    ) -> dict[str, GateMemory]:
        """Gate state and floors of each instrument; initial values if none are stored."""
        return await self._memory.load(instruments, now_ms)

    async def save_evaluations(self, evaluated: Sequence[EvaluatedRun], now_ms: int) -> None:
        """Save gate memory and evaluations, and publish the gates blob, in one transaction."""
        blob = blob_of(evaluated, now_ms).model_dump_json()
        records = {
            e.evaluation.instrument: EvaluationRecord.of(e, now_ms).model_dump_json()
            for e in evaluated
        }

        def queue(pipe: Pipeline) -> None:
            for e in evaluated:
                queue_memory(pipe, e.evaluation, now_ms)
                instrument = e.evaluation.instrument
                pipe.set(keys.backtest_summary(instrument), records[instrument])
            pipe.set(keys.GATES_BLOB, blob)
            pipe.publish(keys.GATES_CHANNEL, str(now_ms))

        await self._lease.write(queue)

    async def save_signals(
        self, signals: Mapping[str, Sequence[Signal]], *, keep_since_ms: int
    ) -> None:
        """Save signals by instrument and trim the indexes, in one transaction."""
        records = {i: [signal_record(s) for s in of] for i, of in signals.items()}

        def queue(pipe: Pipeline) -> None:
            for instrument, of_instrument in records.items():
                for record in of_instrument:
                    queue_signal(pipe, instrument, record, self._signal_ttl_s)
                queue_index_trim(pipe, instrument, keep_since_ms)

        await self._lease.write(queue)

    async def save_manifolds(self, manifolds: Sequence[Manifold]) -> None:
        """Save live manifolds and publish them to subscribers, in one transaction."""
        records = [manifold_record(m) for m in manifolds]

        def queue(pipe: Pipeline) -> None:
            for record in records:
                queue_manifold(pipe, record)

        await self._lease.write(queue)

    async def latest_signals(
        self, instruments: Sequence[str]
    ) -> dict[str, Signal | CorruptRecordError | None]:
        """The newest signal of each instrument; None if there is none, an error if malformed."""
        found = await self._signals.latest(instruments)
        return {
            i: r if r is None or isinstance(r, CorruptRecordError) else signal_of(r)
            for i, r in found.items()
        }

    async def recent_signals(self, instrument: str, count: int) -> list[Signal]:
        """The last signals of an instrument, oldest first; malformed ones are left out."""
        return [signal_of(r) for r in await self._signals.recent(instrument, count)]

    async def latest_manifolds(
        self, instruments: Sequence[str]
    ) -> dict[str, Manifold | CorruptRecordError | None]:
        """The live manifold of each instrument; None if there is none, an error if malformed."""
        found = await self._signals.manifolds(instruments)
        return {
            i: r if r is None or isinstance(r, CorruptRecordError) else manifold_of(r)
            for i, r in found.items()
        }

    async def published_gates(self, instruments: Sequence[str]) -> dict[str, PublishedGate]:
        """Gates as last published; instruments without a readable one are left out."""
        found = await read_documents(
            self._store, EvaluationRecord, [keys.backtest_summary(i) for i in instruments]
        )
        return {
            i: r.published_gate(i)
            for i, r in zip(instruments, found, strict=True)
            if isinstance(r, EvaluationRecord)
        }
