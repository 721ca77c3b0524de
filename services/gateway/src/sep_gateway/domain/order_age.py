"""Whether an entry may still be sent, by the age of its decision."""

from sep_fx.freshness import Freshness, age_of

AHEAD_S = 2.0
"""A decision further in the future than this has a wrong time."""


def age_fault(decided_at_ms: float, now_ms: float, max_age_s: float) -> str | None:
    """Why a decision is too old, or dated wrongly; None if it is neither, or has no time."""
    if not decided_at_ms:
        return None
    age = age_of(decided_at_ms, now_ms, max_age_s, including_limit=True, ahead_s=AHEAD_S)
    if age.verdict is Freshness.STALE:
        return f"it was decided {age.seconds:.1f} s ago; an entry may be {max_age_s:g} s old"
    if age.verdict is Freshness.FUTURE:
        ahead_s = (decided_at_ms - now_ms) / 1000
        return f"it is dated {ahead_s:.1f} s in the future; check the clocks of guard and gateway"
    return None
