"""What the evaluator needs from outside: candles, live prices and a store."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_kit.errors import CorruptRecordError, StoreUnavailableError
from sep_kit.store.candles import Head

from sep_evaluator.domain.evaluation import EvaluatedRun, GateMemory, PublishedGate
from sep_evaluator.domain.live_price import LivePrice
from sep_evaluator.domain.parameter_changes import Change
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.domain.signals import Manifold, Signal


class CandleSource(Protocol):
    """Stored complete candles."""

    async def heads(self, instruments: Iterable[str], granularity: Granularity) -> dict[str, Head]:
        """The newest bar of each instrument that has one, and its count of rewrites."""
        ...

    async def read_bars(
        self, instrument: str, granularity: Granularity, since: int, until: int | None = None
    ) -> Bars:
        """Bars with ``since <= start < until``, times in seconds."""
        ...

    async def read_bars_of(
        self, spans: Mapping[str, tuple[int, int]], granularity: Granularity
    ) -> dict[str, Bars]:
        """Bars of several instruments; each span is ``(since, until)`` as in ``read_bars``."""
        ...


class PriceSource(Protocol):
    """Live bid and ask prices."""

    async def prices(self, instruments: Sequence[str]) -> list[LivePrice]:
        """Tradeable prices; instruments without one are left out."""
        ...


class ManifoldSource(Protocol):
    """Live manifolds as they are published."""

    def listening(self) -> AbstractContextManager[asyncio.Queue[Manifold | StoreUnavailableError]]:
        """A queue that receives manifolds from now on, and the error if the source fails."""
        ...


class EvaluatorStore(Protocol):
    """What the evaluator persists, and what it reads back.

    Every operation raises ``StoreUnavailableError`` if the store does not answer. A ``save``
    is atomic. It raises ``NotTheWriterError`` and writes nothing if another replica holds the
    writer lease.
    """

    @property
    def is_writer(self) -> bool:
        """Whether this replica holds the writer lease, as far as it knows."""
        ...

    async def load_params(
        self, instruments: Sequence[str]
    ) -> dict[str, StrategyParams | CorruptRecordError]:
        """Parameters of each instrument; the defaults if none are stored, an error if invalid."""
        ...

    async def parameter_origins(self) -> dict[str, Change]:
        """The last change of each instrument's parameters; instruments without one are left out."""
        ...

    async def parameter_changes(self, limit: int, instrument: str | None) -> list[Change]:
        """At most ``limit`` changes of parameters, the newest first; of one instrument or all."""
        ...

    async def save_parameter_change(self, change: Change) -> None:
        """Put the parameters of a change into force and record it."""
        ...

    async def load_gate_memory(
        self, instruments: Sequence[str], now_ms: int
    ) -> dict[str, GateMemory]:
        """Gate state and floors of each instrument; initial values if none are stored."""
        ...

    async def save_evaluations(self, evaluated: Sequence[EvaluatedRun], now_ms: int) -> None:
        """Save gate memory and evaluations, and publish the gates blob, as of ``now_ms``."""
        ...

    async def save_signals(
        self, signals: Mapping[str, Sequence[Signal]], *, keep_since_ms: int
    ) -> None:
        """Save signals by instrument, replacing those of the same bar.

        Signals of bars that start before ``keep_since_ms`` are removed from the index of each
        instrument named.
        """
        ...

    async def save_manifolds(self, manifolds: Sequence[Manifold]) -> None:
        """Save live manifolds and publish them to subscribers."""
        ...

    async def latest_signals(
        self, instruments: Sequence[str]
    ) -> dict[str, Signal | CorruptRecordError | None]:
        """The newest signal of each instrument; None if there is none, an error if malformed."""
        ...

    async def recent_signals(self, instrument: str, count: int) -> list[Signal]:
        """The last signals of an instrument, oldest first; malformed ones are left out."""
        ...

    async def latest_manifolds(
        self, instruments: Sequence[str]
    ) -> dict[str, Manifold | CorruptRecordError | None]:
        """The live manifold of each instrument; None if there is none, an error if malformed."""
        ...

    async def published_gates(self, instruments: Sequence[str]) -> dict[str, PublishedGate]:
        """Gates as last published; instruments without a readable one are left out."""
        ...
