"""``opt:rolling:gates_blob``: the gates of all instruments in one document."""

from collections.abc import Iterable

from sep_kit.store.records import GatesBlob, ParametersRecord

from sep_evaluator.domain.evaluation import EvaluatedRun
from sep_evaluator.domain.params import digest_of


def blob_of(evaluated: Iterable[EvaluatedRun], now_ms: int) -> GatesBlob:
    """The blob of one round of evaluations; a gate is 1 while open, else 0."""
    evaluated = list(evaluated)
    evaluations = [e.evaluation for e in evaluated]
    return GatesBlob(
        ts=now_ms,
        gates={e.instrument: int(e.gate) for e in evaluations},
        cooldowns={e.instrument: int(e.cooldown) for e in evaluations},
        bufs={e.instrument: e.buffer for e in evaluations},
        reasons={e.instrument: list(e.reasons) for e in evaluations},
        params={
            e.evaluation.instrument: ParametersRecord(digest=digest_of(e.params), run=e.judged_by)
            for e in evaluated
            if e.params is not None
        },
    )
