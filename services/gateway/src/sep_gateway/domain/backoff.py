"""Delay before a broken stream is reopened."""

_FIRST_S = 0.5
_LONGEST_S = 10.0
STABLE_S = 10.0
"""A stream that stayed open for this long resets the count of consecutive breaks."""


def backoff_s(consecutive_breaks: int, fraction: float) -> float:
    """Seconds to wait: doubles with every break up to a limit; half of it is jitter.

    Args:
        consecutive_breaks: 1 for the first.
        fraction: random, in [0, 1).
    """
    whole = min(_LONGEST_S, _FIRST_S * 2.0 ** min(consecutive_breaks - 1, 10))
    return whole * (0.5 + fraction / 2)
