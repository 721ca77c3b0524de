"""Which instruments get a slot: those that are held stay, until a challenger is clearly better.

Scores move with every blob. Selecting by score alone closes positions for reasons that no
backtest knows, and pays the spread each time. A challenger closes a position at most once an hour.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

AT_MOST_ONCE_IN_MS = 3_600_000

Challenge = tuple[str, str]
"""A challenger and the incumbent whose slot it asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchLimits:
    """When a challenger takes an incumbent's slot.

    Attributes:
        margin: how far its score must be above the incumbent's.
        evaluations: for how many blobs in a row.
    """

    margin: float
    evaluations: int


SWITCH_BY_DEFAULT = SwitchLimits(margin=0.05, evaluations=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The instruments selected, best first, and the challenges that run.

    ``challenges`` counts the blobs in a row in which a challenger was far enough above.
    ``displaced`` is the incumbent that a challenger has just replaced, empty if none.
    """

    selected: tuple[str, ...]
    challenges: Mapping[Challenge, int]
    displaced: str = ""


def select(
    scores: Mapping[str, float],
    held: Collection[str],
    challenges: Mapping[Challenge, int],
    top_k: int,
    limits: SwitchLimits,
    *,
    new_blob: bool,
    may_switch: bool = True,
) -> Selection:
    """Select at most ``top_k`` candidates.

    Held candidates keep their slots, the best of them where there are more than slots. Free
    slots go to the others by score, ties by name. At most one challenger succeeds at a time: the
    first, by score, whose challenge has lasted long enough.

    Args:
        scores: of the candidates, each above 0.
        held: instruments with managed units.
        challenges: of the selection before.
        new_blob: whether scores and gates come from a blob that was not counted before; only
            then a challenge grows.
        may_switch: whether a challenger may take a slot now. Challenges count all the same, and
            succeed as soon as it may.
    """
    ranked = sorted(scores, key=lambda i: (-scores[i], i))
    incumbents = [i for i in ranked if i in held][:top_k]
    others = [i for i in ranked if i not in incumbents]
    free = top_k - len(incumbents)
    if free or not incumbents:
        return Selection(selected=_by_score(scores, [*incumbents, *others[:free]]), challenges={})
    weakest = incumbents[-1]
    running = {}
    for challenger in others:
        if scores[challenger] - scores[weakest] > limits.margin:
            before = challenges.get((challenger, weakest), 0)
            running[challenger, weakest] = before + 1 if new_blob else before
    for (challenger, _), count in running.items():
        if count >= limits.evaluations and may_switch:
            switched = _by_score(scores, [*incumbents[:-1], challenger])
            return Selection(selected=switched, challenges={}, displaced=weakest)
    return Selection(selected=_by_score(scores, incumbents), challenges=running)


def _by_score(scores: Mapping[str, float], selected: list[str]) -> tuple[str, ...]:
    return tuple(sorted(selected, key=lambda i: (-scores[i], i)))
