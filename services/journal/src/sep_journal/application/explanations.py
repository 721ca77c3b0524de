"""One decision: its records, each made again, and its way from candle to trade."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sep_journal.domain.decision_path import DecisionInputs, PathStep, path_of
from sep_journal.domain.decisions import StoredDecision
from sep_journal.ports import DecisionMaker, JournalReader, MadeAgain


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is known of one decision; ``made_again`` has one entry a record, in the same order."""

    records: Sequence[StoredDecision]
    made_again: Sequence[MadeAgain]
    path: Sequence[PathStep]


class Explanations:
    """Explains decisions from the journal."""

    def __init__(
        self,
        journal: JournalReader,
        maker: DecisionMaker,
        inputs_of: Callable[[StoredDecision], DecisionInputs],
    ) -> None:
        self._journal = journal
        self._maker = maker
        self._inputs_of = inputs_of

    async def explain(self, decision_id: str) -> Explanation | None:
        """Explain a decision; None if it is not in the journal."""
        records = await self._journal.decision(decision_id)
        if not records:
            return None
        traces = await self._journal.traces(records[0].id)
        made = await asyncio.gather(*(self._maker.make_again(r.record) for r in records))
        path = path_of(self._inputs_of(records[0]), traces)
        return Explanation(records=records, made_again=made, path=path)
