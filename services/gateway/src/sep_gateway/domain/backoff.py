"""How long to wait before a broken stream is opened again."""

_FIRST_S = 0.5
_LONGEST_S = 10.0
STABLE_S = 10.0
"""A stream that lived this long breaks anew; one that did not breaks again."""


def backoff_s(breaks_in_a_row: int, fraction: float) -> float:
    """Doubles with every break; half of it is jitter, so that replicas don't come in step.

    Args:
        breaks_in_a_row: 1 for the first.
        fraction: random, in [0, 1).
    """
    whole = min(_LONGEST_S, _FIRST_S * 2.0 ** min(breaks_in_a_row - 1, 10))
    return whole * (0.5 + fraction / 2)
