"""EvaluatorService: checks the request, reads or evaluates, converts the result."""

import asyncio
from collections.abc import AsyncIterator

import grpc
from sep.evaluator.v1 import evaluator_pb2, evaluator_pb2_grpc
from sep_fx.instants import NS_PER_MS
from sep_kit.clock import Clock, now_ms, now_s
from sep_kit.convert import session_message
from sep_kit.errors import CorruptRecordError, NotReadyError, UnknownInstrumentError
from sep_kit.grpc.call_context import caller_name
from sep_kit.store.signals import signal_end_ns

from sep_evaluator.application.evaluation_loop import EvaluationLoop
from sep_evaluator.application.long_runs import RunRules
from sep_evaluator.application.parameter_changes import ParameterChanges
from sep_evaluator.convert import (
    change_message,
    coeffs_response,
    gate_message,
    in_force_message,
    manifold_message,
    status_message,
    wanted_of,
)
from sep_evaluator.domain.coherence import FreshnessLimits, Reading, Thresholds, coherence_status
from sep_evaluator.domain.signals import Manifold, Signal
from sep_evaluator.ports import EvaluatorStore, ManifoldSource

# Proxies and browsers close a stream that sends nothing for 30 seconds or more.
_HEARTBEAT_S = 15.0
_CHANGES = 100
"""Changes in a list that sets no limit."""


class NoSignalError(NotReadyError):
    """The instrument has no window yet."""

    reason = "NO_SIGNAL"


class NoGatesError(NotReadyError):
    """Nothing has been evaluated yet."""

    reason = "NO_GATES"


class EvaluatorServicer(evaluator_pb2_grpc.EvaluatorServiceServicer):
    """Serves reads from the store, so that all replicas give the same response."""

    def __init__(
        self,
        instruments: tuple[str, ...],
        *,
        rules: RunRules,
        thresholds: Thresholds,
        freshness: FreshnessLimits,
        store: EvaluatorStore,
        feed: ManifoldSource,
        evaluation: EvaluationLoop,
        parameters: ParameterChanges,
        clock: Clock,
    ) -> None:
        self._instruments = tuple(sorted(instruments))
        self._rules = rules
        self._thresholds = thresholds
        self._freshness = freshness
        self._store = store
        self._feed = feed
        self._evaluation = evaluation
        self._parameters = parameters
        self._clock = clock

    async def ListPairs(
        self,
        request: evaluator_pb2.ListPairsRequest,
        context: grpc.aio.ServicerContext[
            evaluator_pb2.ListPairsRequest, evaluator_pb2.ListPairsResponse
        ],
    ) -> evaluator_pb2.ListPairsResponse:
        """List the instruments with their sessions."""
        at = now_s(self._clock)
        response = evaluator_pb2.ListPairsResponse()
        for instrument in self._instruments:
            session = session_message(self._rules.calendar.state(instrument, at), at)
            pair = response.pairs.add(instrument=instrument, session=session, open=session.open)
            if session.HasField("minutes_to_close"):
                pair.minutes_to_close = session.minutes_to_close
        return response

    async def GetManifoldCoeffs(
        self,
        request: evaluator_pb2.GetManifoldCoeffsRequest,
        context: grpc.aio.ServicerContext[
            evaluator_pb2.GetManifoldCoeffsRequest, evaluator_pb2.GetManifoldCoeffsResponse
        ],
    ) -> evaluator_pb2.GetManifoldCoeffsResponse:
        """Return the coefficients of the last window, and metrics of earlier ones."""
        instrument = self._known(request.instrument)
        signal = (await self._store.latest_signals([instrument]))[instrument]
        if isinstance(signal, CorruptRecordError):
            raise signal
        if signal is None:
            raise NoSignalError(f"{instrument} has no complete window yet", instrument=instrument)
        history = await self._store.recent_signals(instrument, request.history)
        return coeffs_response(instrument, signal, history)

    async def GetCoherenceStatus(
        self,
        request: evaluator_pb2.GetCoherenceStatusRequest,
        context: grpc.aio.ServicerContext[
            evaluator_pb2.GetCoherenceStatusRequest, evaluator_pb2.GetCoherenceStatusResponse
        ],
    ) -> evaluator_pb2.GetCoherenceStatusResponse:
        """Compare the last window with the live thresholds."""
        names = (
            (self._known(request.instrument),)
            if request.HasField("instrument")
            else self._instruments
        )
        signals = await self._store.latest_signals(names)
        manifolds = await self._store.latest_manifolds(names)
        parameters = await self._parameters.in_force(names)
        now = now_ms(self._clock)
        response = evaluator_pb2.GetCoherenceStatusResponse()
        for name, in_force in zip(names, parameters, strict=True):
            status = coherence_status(
                name,
                self._reading(signals[name]),
                _price_time(manifolds[name]),
                self._thresholds,
                self._freshness,
                now,
            )
            response.statuses.append(status_message(status, in_force))
        return response

    async def StreamManifolds(
        self,
        request: evaluator_pb2.StreamManifoldsRequest,
        context: grpc.aio.ServicerContext[
            evaluator_pb2.StreamManifoldsRequest, evaluator_pb2.StreamManifoldsResponse
        ],
    ) -> AsyncIterator[evaluator_pb2.StreamManifoldsResponse]:
        """Send the last known manifolds, then each new one; an error message ends the stream."""
        names = (
            (self._known(request.instrument),)
            if request.HasField("instrument")
            else self._instruments
        )
        # Subscribe before reading the last known manifolds, so that none is missed in between.
        with self._feed.listening() as events:
            for last in (await self._store.latest_manifolds(names)).values():
                if isinstance(last, Manifold):
                    yield evaluator_pb2.StreamManifoldsResponse(manifold=manifold_message(last))
            while True:
                try:
                    # Not wait_for: before Python 3.12 it can drop a cancellation.
                    async with asyncio.timeout(_HEARTBEAT_S):
                        event = await events.get()
                except TimeoutError:
                    beat = evaluator_pb2.Heartbeat(ts_ms=now_ms(self._clock))
                    yield evaluator_pb2.StreamManifoldsResponse(heartbeat=beat)
                    continue
                if not isinstance(event, Manifold):
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
        """List the gates as last published."""
        ts, gates = await self._gates()
        return evaluator_pb2.ListGatesResponse(ts_ms=ts, gates=gates)

    async def EvaluateNow(
        self,
        request: evaluator_pb2.EvaluateNowRequest,
        context: grpc.aio.ServicerContext[
            evaluator_pb2.EvaluateNowRequest, evaluator_pb2.EvaluateNowResponse
        ],
    ) -> evaluator_pb2.EvaluateNowResponse:
        """Evaluate and publish now, then list the gates."""
        ts_ms = await self._evaluation.evaluate_now()
        _, gates = await self._gates()
        return evaluator_pb2.EvaluateNowResponse(ts_ms=ts_ms, gates=gates)

    async def ListParameters(
        self,
        request: evaluator_pb2.ListParametersRequest,
        context: grpc.aio.ServicerContext[
            evaluator_pb2.ListParametersRequest, evaluator_pb2.ListParametersResponse
        ],
    ) -> evaluator_pb2.ListParametersResponse:
        """List the parameters in force."""
        found = await self._parameters.in_force()
        return evaluator_pb2.ListParametersResponse(parameters=map(in_force_message, found))

    async def ListParameterChanges(
        self,
        request: evaluator_pb2.ListParameterChangesRequest,
        context: grpc.aio.ServicerContext[
            evaluator_pb2.ListParameterChangesRequest, evaluator_pb2.ListParameterChangesResponse
        ],
    ) -> evaluator_pb2.ListParameterChangesResponse:
        """List changes of parameters, the newest first."""
        instrument = request.instrument if request.HasField("instrument") else None
        changes = await self._parameters.history(instrument, request.limit or _CHANGES)
        return evaluator_pb2.ListParameterChangesResponse(changes=map(change_message, changes))

    async def PromoteParameters(
        self,
        request: evaluator_pb2.PromoteParametersRequest,
        context: grpc.aio.ServicerContext[
            evaluator_pb2.PromoteParametersRequest, evaluator_pb2.PromoteParametersResponse
        ],
    ) -> evaluator_pb2.PromoteParametersResponse:
        """Put parameters into force."""
        change = await self._parameters.promote(
            [wanted_of(w) for w in request.wanted],
            run=request.run,
            reason=request.reason,
            forced_by=request.forced_by,
            actor=caller_name() or "unnamed",
            dry_run=request.dry_run,
        )
        return evaluator_pb2.PromoteParametersResponse(
            change=change_message(change), dry_run=request.dry_run
        )

    async def RollBackParameters(
        self,
        request: evaluator_pb2.RollBackParametersRequest,
        context: grpc.aio.ServicerContext[
            evaluator_pb2.RollBackParametersRequest, evaluator_pb2.RollBackParametersResponse
        ],
    ) -> evaluator_pb2.RollBackParametersResponse:
        """Take a change of parameters back."""
        change = await self._parameters.roll_back(
            request.change_id,
            reason=request.reason,
            actor=caller_name() or "unnamed",
            dry_run=request.dry_run,
        )
        return evaluator_pb2.RollBackParametersResponse(
            change=change_message(change), dry_run=request.dry_run
        )

    async def _gates(self) -> tuple[int, list[evaluator_pb2.Gate]]:
        gates = (await self._store.published_gates(self._instruments)).values()
        if not gates:
            raise NoGatesError("no evaluation has been published yet")
        return max(g.ts_ms for g in gates), [gate_message(g) for g in gates]

    def _known(self, instrument: str) -> str:
        if instrument not in self._instruments:
            raise UnknownInstrumentError(instrument, self._instruments)
        return instrument

    def _reading(self, signal: Signal | CorruptRecordError | None) -> Reading | None:
        if not isinstance(signal, Signal):
            return None
        end = signal_end_ns(signal.ts_ns, self._rules.granularity)
        return Reading(figures=signal.figures, ended_ms=end // NS_PER_MS)


def _price_time(manifold: Manifold | CorruptRecordError | None) -> int | None:
    return manifold.ts_ms if isinstance(manifold, Manifold) else None
