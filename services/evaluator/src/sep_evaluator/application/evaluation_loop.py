"""Evaluates every instrument at an interval and publishes the gates as one blob."""

from collections.abc import Iterable
from dataclasses import dataclass

from sep_kit.clock import Clock, now_ms
from sep_kit.errors import NotTheWriterError
from sep_kit.logging import get_logger

from sep_evaluator.application.buffers import Buffers
from sep_evaluator.application.long_runs import LongRuns
from sep_evaluator.domain.evaluation import (
    EvaluatedRun,
    Evaluation,
    GateLimits,
    GateMemory,
    Observation,
    evaluate,
)
from sep_evaluator.domain.parameter_changes import Change, in_force
from sep_evaluator.metrics import EvaluatorMetrics
from sep_evaluator.ports import EvaluatorStore

_log = get_logger("Evaluator")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRules:
    """Limits and hysteresis buffers of an evaluation, and the length of the slice in days."""

    limits: GateLimits
    buffers: Buffers
    span_days: int


class EvaluationLoop:
    """Evaluates and publishes. Memory, evaluations and blob are saved in one transaction."""

    def __init__(
        self,
        runs: LongRuns,
        store: EvaluatorStore,
        clock: Clock,
        rules: EvaluationRules,
        metrics: EvaluatorMetrics,
    ) -> None:
        self._runs = runs
        self._store = store
        self._clock = clock
        self._rules = rules
        self._metrics = metrics

    async def tick(self) -> None:
        """Evaluate and publish if this replica holds the lease, else only update the runs."""
        at = now_ms(self._clock) // 1000
        calendar = self._runs.rules.calendar
        self._metrics.show_market({i: calendar.state(i, at).open for i in self._runs.instruments})
        if self._store.is_writer:
            await self.evaluate_now()
            return
        self._metrics.forget()
        async with self._runs.lock:
            await self.refresh()

    async def evaluate_now(self) -> int:
        """Evaluate every instrument and publish the gates; return the time of it in ms.

        Raises:
            NotTheWriterError: another replica holds the lease; nothing was published.
            StoreUnavailableError: Valkey does not answer; nothing was published.
        """
        if not self._store.is_writer:
            raise NotTheWriterError("this evaluator does not hold the writer lease; ask again")
        async with self._runs.lock:
            await self.refresh()
            now = now_ms(self._clock)
            memory = await self._store.load_gate_memory(self._runs.instruments, now)
            origins = await self._store.parameter_origins()
            evaluated = [
                self._evaluate(i, memory[i], origins.get(i), now) for i in self._runs.instruments
            ]
            await self._store.save_evaluations(evaluated, now)
        evaluations = [e.evaluation for e in evaluated]
        self._metrics.show(evaluations)
        _log_flips(evaluations)
        return now

    async def refresh(self) -> None:
        """Bring parameters and runs up to date with the store; the caller holds ``runs.lock``.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        self._runs.adopt_params(await self._store.load_params(self._runs.instruments))
        await self._runs.catch_up(rewritten=True)

    def _evaluate(
        self, instrument: str, memory: GateMemory, origin: Change | None, now: int
    ) -> EvaluatedRun:
        run = self._runs.run(instrument)
        observation = Observation(
            instrument,
            run.summary(self._rules.span_days) if len(run) else None,
            run.watermark,
            self._runs.integrity(instrument),
            self._runs.rules.calendar.state(instrument, now // 1000),
            self._runs.params_digest(instrument),
        )
        buffer = self._rules.buffers.of_instrument(instrument)
        # ``history`` is read before ``at``, which drops the samples that have expired.
        history = memory.floors.history
        evaluation = evaluate(
            memory.state,
            history,
            observation,
            self._rules.limits,
            buffer,
            now,
            floors=memory.floors.at(now, observation.params, buffer),
        )
        if observation.params is None:
            return EvaluatedRun(evaluation=evaluation, params=None, spans={})
        return EvaluatedRun(
            evaluation=evaluation,
            params=run.params,
            spans=run.spans(),
            judged_by=in_force(instrument, run.params, origin).run,
        )


def _log_flips(evaluations: Iterable[Evaluation]) -> None:
    for e in evaluations:
        if e.eligibility_flipped:
            _log.info(
                "eligibility flipped",
                instrument=e.instrument,
                eligible=e.state.eligible,
                gate="open" if e.gate else "closed",
                reasons=[str(r) for r in e.reasons],
                verdict=str(e.verdict),
            )
