"""The one rule for how old a value is: fresh, stale, missing, or stamped in the future.

Every value that is checked against the clock goes through ``age_of``; a test of the layers finds
comparisons that do not.
"""

from enum import StrEnum
from typing import NamedTuple

BAR_GRACE_S = 60.0
"""How long the next bar may take to be complete, fetched and judged."""

CLOCK_SKEW_S = 5.0
"""Tolerated clock difference between two machines, where a rule names no other one. A stamp further
ahead is a fault."""


class Freshness(StrEnum):
    """Verdict on the age of a value."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"
    FUTURE = "future"
    """Stamped further ahead of the clock than tolerated: the stamp or a clock is wrong."""


# Looking a member up in its class takes longer than the rest of the rule.
_FRESH = Freshness.FRESH


class Age(NamedTuple):
    """Age of a value and the verdict on it. A named tuple, since every entry check makes four.

    Args:
        seconds: age in seconds, below 0 for a stamp ahead of the clock; None if missing.
    """

    verdict: Freshness
    seconds: float | None

    @property
    def fresh(self) -> bool:
        """Whether the value may be used."""
        return self.verdict is _FRESH


def newest_stamp_ms(now_ms: float, ahead_s: float = CLOCK_SKEW_S) -> float:
    """The latest time that is not in the future; for comparing a whole column at once."""
    return now_ms + ahead_s * 1000


def age_of(
    made_ms: float | None,
    now_ms: float,
    max_age_s: float,
    *,
    including_limit: bool = False,
    ahead_s: float = CLOCK_SKEW_S,
) -> Age:
    """The age of a value stamped ``made_ms``, both times in milliseconds since the epoch.

    Args:
        made_ms: when the value was made; None if there is no value.
        max_age_s: the value is stale from this age on.
        including_limit: at exactly ``max_age_s`` the value is still fresh.
        ahead_s: tolerated clock difference; a stamp further ahead is in the future.
    """
    if made_ms is None:
        return Age(Freshness.MISSING, None)
    seconds = (now_ms - made_ms) / 1000
    # As ``newest_stamp_ms``; a call takes as long as the rest of the rule.
    if made_ms > now_ms + ahead_s * 1000:
        verdict = Freshness.FUTURE
    elif seconds < max_age_s or (including_limit and seconds == max_age_s):
        verdict = _FRESH
    else:
        verdict = Freshness.STALE
    return Age(verdict, seconds)


def bar_age_limit(limit_s: float, granularity_s: float) -> float:
    """Maximum age of a candle, or of what was computed from it, counted from its bar's end.

    Between two bars the last one grows as old as a bar is long, so a limit in seconds alone
    would call every value of long bars stale before the next one can exist.

    Args:
        limit_s: the configured limit.
        granularity_s: length of a bar.
    """
    return max(limit_s, granularity_s + BAR_GRACE_S)
