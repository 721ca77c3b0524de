"""Whether an entry may still be sent, by the age of its decision."""

AHEAD_S = 2.0
"""A decision further in the future than this has a wrong time."""


def age_fault(decided_at_ms: float, now_ms: float, max_age_s: float) -> str | None:
    """Why a decision is too old, or dated wrongly; None if it is neither, or has no time."""
    if not decided_at_ms:
        return None
    age_s = (now_ms - decided_at_ms) / 1000
    if age_s > max_age_s:
        return f"it was decided {age_s:.1f} s ago; an entry may be {max_age_s:g} s old"
    if age_s < -AHEAD_S:
        return f"it is dated {-age_s:.1f} s in the future; check the clocks of guard and gateway"
    return None
