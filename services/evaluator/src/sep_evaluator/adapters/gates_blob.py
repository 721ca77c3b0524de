"""``opt:rolling:gates_blob``: the gates of all instruments in one document."""

from collections.abc import Iterable

from sep_kit.store.records import GatesBlob

from sep_evaluator.domain.evaluation import Evaluation


def blob_of(evaluations: Iterable[Evaluation], now_ms: int) -> GatesBlob:
    """The blob of one round of evaluations; a gate is 1 while open, else 0."""
    evaluations = list(evaluations)
    return GatesBlob(
        ts=now_ms,
        gates={e.instrument: int(e.gate) for e in evaluations},
        cooldowns={e.instrument: int(e.cooldown) for e in evaluations},
        bufs={e.instrument: e.buffer for e in evaluations},
        reasons={e.instrument: list(e.reasons) for e in evaluations},
    )
