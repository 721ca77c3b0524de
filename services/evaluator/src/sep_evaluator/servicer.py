"""EvaluatorService: checks, converts, calls, converts."""

import asyncio
from collections.abc import AsyncIterator

import grpc
from sep.evaluator.v1 import evaluator_pb2, evaluator_pb2_grpc
from sep.market.v1 import market_pb2
from sep_fx.instants import NS_PER_MS
from sep_kit.clock import Clock, now_ms, now_s
from sep_kit.convert import metrics_message, session_message
from sep_kit.errors import CorruptRecordError, NotReadyError, UnknownInstrumentError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey
from sep_kit.store.documents import read_documents
from sep_kit.store.records import ManifoldRecord, SignalRecord
from sep_kit.store.signals import SignalStore, signal_end_ns

from sep_evaluator.adapters.evaluation_record import EvaluationRecord
from sep_evaluator.adapters.manifold_feed import ManifoldFeed
from sep_evaluator.convert import coeffs_response, gate_message, manifold_message
from sep_evaluator.domain.coherence import (
    CoherenceStatus,
    FreshnessLimits,
    Reading,
    Thresholds,
    coherence_status,
)
from sep_evaluator.evaluation_loop import EvaluationLoop
from sep_evaluator.long_runs import RunRules

# Proxies and browsers give up on a stream that is silent for half a minute or more.
_HEARTBEAT_S = 15.0


class NoSignalError(NotReadyError):
    """The instrument has no window yet."""

    reason = "NO_SIGNAL"


class NoGatesError(NotReadyError):
    """Nothing has been evaluated yet."""

    reason = "NO_GATES"


class EvaluatorServicer(evaluator_pb2_grpc.EvaluatorServiceServicer):
    """Answers from the store, so that every replica answers the same."""

    def __init__(
        self,
        instruments: tuple[str, ...],
        rules: RunRules,
        thresholds: Thresholds,
        freshness: FreshnessLimits,
        store: Valkey,
        feed: ManifoldFeed,
        evaluation: EvaluationLoop,
        clock: Clock,
    ) -> None:
        self._instruments = tuple(sorted(instruments))
        self._rules = rules
        self._thresholds = thresholds
        self._freshness = freshness
        self._store = store
        self._signals = SignalStore(store)
        self._feed = feed
        self._evaluation = evaluation
        self._clock = clock

    async def ListPairs(
        self,
        request: evaluator_pb2.ListPairsRequest,
        context: grpc.aio.ServicerContext[
            evaluator_pb2.ListPairsRequest, evaluator_pb2.ListPairsResponse
        ],
    ) -> evaluator_pb2.ListPairsResponse:
        """Instruments with their sessions."""
        at = now_s(self._clock)
        answer = evaluator_pb2.ListPairsResponse()
        for instrument in self._instruments:
            session = session_message(self._rules.calendar.state(instrument, at), at)
            pair = answer.pairs.add(instrument=instrument, session=session, open=session.open)
            if session.HasField("minutes_to_close"):
                pair.minutes_to_close = session.minutes_to_close
        return answer

    async def GetManifoldCoeffs(
        self,
        request: evaluator_pb2.GetManifoldCoeffsRequest,
        context: grpc.aio.ServicerContext[
            evaluator_pb2.GetManifoldCoeffsRequest, evaluator_pb2.GetManifoldCoeffsResponse
        ],
    ) -> evaluator_pb2.GetManifoldCoeffsResponse:
        """Coefficients of the last window."""
        instrument = self._known(request.instrument)
        signal = (await self._signals.latest([instrument]))[instrument]
        if isinstance(signal, CorruptRecordError):
            raise signal
        if signal is None:
            raise NoSignalError(f"{instrument} has no complete window yet", instrument=instrument)
        return coeffs_response(instrument, signal)

    async def GetCoherenceStatus(
        self,
        request: evaluator_pb2.GetCoherenceStatusRequest,
        context: grpc.aio.ServicerContext[
            evaluator_pb2.GetCoherenceStatusRequest, evaluator_pb2.GetCoherenceStatusResponse
        ],
    ) -> evaluator_pb2.GetCoherenceStatusResponse:
        """Metrics against thresholds."""
        names = (
            (self._known(request.instrument),)
            if request.HasField("instrument")
            else self._instruments
        )
        signals = await self._signals.latest(names)
        manifolds = await self._signals.manifolds(names)
        now = now_ms(self._clock)
        answer = evaluator_pb2.GetCoherenceStatusResponse()
        for name in names:
            status = coherence_status(
                name,
                self._reading(signals[name]),
                _price_time(manifolds[name]),
                self._thresholds,
                self._freshness,
                now,
            )
            answer.statuses.append(_status_message(status, signals[name]))
        return answer

    async def StreamManifolds(
        self,
        request: evaluator_pb2.StreamManifoldsRequest,
        context: grpc.aio.ServicerContext[
            evaluator_pb2.StreamManifoldsRequest, evaluator_pb2.StreamManifoldsResponse
        ],
    ) -> AsyncIterator[evaluator_pb2.StreamManifoldsResponse]:
        """The last known manifolds, then each new one; an error ends the stream in-band."""
        names = (
            (self._known(request.instrument),)
            if request.HasField("instrument")
            else self._instruments
        )
        # Listening begins before the last known ones are read, so that none falls in between.
        with self._feed.listening() as news:
            for last in (await self._signals.manifolds(names)).values():
                if isinstance(last, ManifoldRecord):
                    yield evaluator_pb2.StreamManifoldsResponse(manifold=manifold_message(last))
            while True:
                try:
                    # Not wait_for: before Python 3.12 it can drop a cancellation.
                    async with asyncio.timeout(_HEARTBEAT_S):
                        event = await news.get()
                except TimeoutError:
                    beat = evaluator_pb2.Heartbeat(ts_ms=now_ms(self._clock))
                    yield evaluator_pb2.StreamManifoldsResponse(heartbeat=beat)
                    continue
                if not isinstance(event, ManifoldRecord):
                    error = evaluator_pb2.StreamError(reason=event.reason, message=event.message)
                    yield evaluator_pb2.StreamManifoldsResponse(error=error)
                    return
                if event.instrument in names:
                    yield evaluator_pb2.StreamManifoldsResponse(manifold=manifold_message(event))

    async def ListGates(
        self,
        request: evaluator_pb2.ListGatesRequest,
        context: grpc.aio.ServicerContext[
            evaluator_pb2.ListGatesRequest, evaluator_pb2.ListGatesResponse
        ],
    ) -> evaluator_pb2.ListGatesResponse:
        """The gates as published."""
        ts, gates = await self._gates()
        return evaluator_pb2.ListGatesResponse(ts_ms=ts, gates=gates)

    async def EvaluateNow(
        self,
        request: evaluator_pb2.EvaluateNowRequest,
        context: grpc.aio.ServicerContext[
            evaluator_pb2.EvaluateNowRequest, evaluator_pb2.EvaluateNowResponse
        ],
    ) -> evaluator_pb2.EvaluateNowResponse:
        """Evaluate and publish now."""
        blob = await self._evaluation.evaluate_now()
        _, gates = await self._gates()
        return evaluator_pb2.EvaluateNowResponse(ts_ms=blob.ts, gates=gates)

    async def _gates(self) -> tuple[int, list[evaluator_pb2.Gate]]:
        found = await read_documents(
            self._store, EvaluationRecord, [keys.backtest_summary(i) for i in self._instruments]
        )
        records = {
            i: r
            for i, r in zip(self._instruments, found, strict=True)
            if isinstance(r, EvaluationRecord)
        }
        if not records:
            raise NoGatesError("no evaluation has been published yet")
        return max(r.ts for r in records.values()), [gate_message(*x) for x in records.items()]

    def _known(self, instrument: str) -> str:
        if instrument not in self._instruments:
            raise UnknownInstrumentError(instrument, self._instruments)
        return instrument

    def _reading(self, signal: SignalRecord | CorruptRecordError | None) -> Reading | None:
        if not isinstance(signal, SignalRecord):
            return None
        end = signal_end_ns(signal.ts_ns, self._rules.granularity)
        return Reading(signal.metrics, end // NS_PER_MS)


def _price_time(manifold: ManifoldRecord | CorruptRecordError | None) -> int | None:
    return manifold.ts_ms if isinstance(manifold, ManifoldRecord) else None


def _status_message(
    status: CoherenceStatus, signal: SignalRecord | CorruptRecordError | None
) -> evaluator_pb2.CoherenceStatus:
    return evaluator_pb2.CoherenceStatus(
        instrument=status.instrument,
        metrics=metrics_message(signal.metrics) if isinstance(signal, SignalRecord) else None,
        checks=[
            market_pb2.ThresholdCheck(
                name=c.name,
                value=c.value,
                threshold=c.threshold,
                comparison=c.comparison,
                passed=c.passed,
            )
            for c in status.checks
        ],
        passed=status.passed,
        signal_age_seconds=status.signal_age_s,
        manifold_age_seconds=status.manifold_age_s,
        fresh=status.fresh,
    )
