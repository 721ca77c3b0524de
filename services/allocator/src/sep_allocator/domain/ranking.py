"""The ranking: open instruments first, then by score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sep_fx.sessions import SessionState

from sep_allocator.domain.score import ScoreWeights, Window, score


@dataclass(frozen=True, slots=True)
class Ranked:
    """One instrument of the ranking; ``score`` is None without a window."""

    instrument: str
    score: float | None
    weight: float
    selected: bool
    session: SessionState


def rank(
    instruments: Sequence[str],
    windows: Mapping[str, Window],
    sessions: Mapping[str, SessionState],
    weights: Mapping[str, float],
    score_weights: ScoreWeights,
) -> list[Ranked]:
    """Sort the instruments by open session and score; ties and those without a score by name."""
    ranked = [
        Ranked(
            i,
            score(windows[i], score_weights) if i in windows else None,
            weights.get(i, 0.0),
            i in weights,
            sessions[i],
        )
        for i in instruments
    ]
    return sorted(ranked, key=_sort_key)


def _sort_key(ranked: Ranked) -> tuple[bool, float, str]:
    known = ranked.score if ranked.score is not None else float("-inf")
    return not ranked.session.open, -known, ranked.instrument
