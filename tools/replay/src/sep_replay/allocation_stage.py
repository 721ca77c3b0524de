"""The allocator of a replay: weights from the gates and signals of the evaluation."""

from sep_allocator.adapters.records import record_of
from sep_allocator.domain.allocation import NOTHING, Allocation, ManagedUnits, allocate
from sep_allocator.settings import AllocatorSettings
from sep_fx.sessions import SessionCalendar
from sep_kit.store.records import WeightsRecord

from sep_replay.evaluation_stage import EvaluationStage
from sep_replay.journal import Journal, Topic


class AllocationStage:
    """Allocates weights into ``latest``, and records changes of the selection."""

    def __init__(
        self,
        evaluation: EvaluationStage,
        settings: AllocatorSettings,
        calendar: SessionCalendar,
        journal: Journal,
    ) -> None:
        self._evaluation = evaluation
        self._settings = settings
        self._calendar = calendar
        self._journal = journal
        self.latest: Allocation = NOTHING

    @property
    def is_empty(self) -> bool:
        """Whether no instrument has a weight."""
        return not self.latest.weights

    def record(self) -> WeightsRecord | None:
        """The published weights; None before the first allocation."""
        if self.latest is NOTHING:
            return None
        return record_of(self.latest, self._settings.alloc_top_k)

    def allocate(self, now: int, blob_at: int, held: frozenset[str]) -> None:
        """Allocate; times in seconds.

        Args:
            blob_at: when the last evaluations were made.
            held: instruments with an open position.
        """
        before, evaluation = self.latest, self._evaluation
        if not before.weights and not evaluation.any_open:
            # No candidate and no previous weights: an empty allocation of now, without scoring.
            self.latest = Allocation(
                ts=now * 1000,
                gates_ts=blob_at * 1000,
                weights={},
                scores={},
                held=False,
                held_reason=None,
            )
            return
        instruments = evaluation.instruments
        self.latest = allocate(
            evaluation.gates(blob_at),
            {i: w for i in instruments if (w := evaluation.window(i)) is not None},
            {i: evaluation.session(i, now) for i in instruments},
            before,
            self._settings.limits(),
            now * 1000,
            market_open=self._calendar.market_open(now),
            managed=ManagedUnits(ts=now * 1000, instruments=held),
        )
        if set(self.latest.weights) != set(before.weights):
            self._journal.add(
                now, Topic.WEIGHTS, "all", weights=self.latest.weights,
                scores=self.latest.scores,
            )  # fmt: skip
