"""When a replay acts: at each moment of the tape, and at its services' intervals in between."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sep_replay.tape import Moment, Tape


class Cadence:
    """One interval of a service, from its first run on."""

    def __init__(self, seconds: float) -> None:
        self._seconds = max(1, math.ceil(seconds))
        self._next: int | None = None

    def next_after(self, now: int) -> int | None:
        """The next run after a moment; None before the first one."""
        return None if self._next is None else max(self._next, now + 1)

    def due(self, now: int) -> bool:
        """Whether it runs now; then the next run is an interval away."""
        if self._next is not None and now < self._next:
            return False
        self._next = now + self._seconds
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadences:
    """The intervals of evaluator, allocator and guard."""

    evaluation: Cadence
    allocation: Cadence
    reconcile: Cadence


_NO_BARS: Mapping[str, int] = {}


def moments_of(tape: Tape, cadences: Cadences) -> Iterator[Moment]:
    """The tape's moments, and those between them at which an interval has passed."""
    all_of = (cadences.evaluation, cadences.allocation, cadences.reconcile)
    now: int | None = None
    for moment in tape.moments():
        while now is not None:
            due = [at for c in all_of if (at := c.next_after(now)) is not None and at < moment.time]
            if not due:
                break
            now = min(due)
            yield Moment(now, _NO_BARS, _NO_BARS)
        now = moment.time
        yield moment
