"""Locks: an instrument takes no entry for a while, longer each time the cause returns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

MINUTE_MS = 60_000
DAY_MS = 86_400_000
_LONGEST_MINUTES = 24 * 60


class LockCause(StrEnum):
    """Why an instrument is locked; the names of limits where one was passed."""

    ORDER_RATE = "order_rate"
    REJECTS = "rejects"
    STOP_OUTS = "stop_outs"
    FOREIGN_CLOSE = "foreign_close"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """Something that locks an instrument; ``reason`` for people, with the figures."""

    instrument: str
    cause: LockCause
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """One lock, running or ended.

    Attributes:
        since_ms: when it began.
        until_ms: when it ends by itself; None for a lock that a person has to lift.
        minutes: its length as imposed, from which the next one doubles; 0 by hand.
        reason: for people.
        actor: who imposed it; ``guard`` for a limit.
    """

    instrument: str
    cause: LockCause
    since_ms: int
    until_ms: int | None
    minutes: int
    reason: str
    actor: str

    def active(self, now_ms: int) -> bool:
        """Whether it holds at an instant."""
        return self.until_ms is None or now_ms < self.until_ms


Locks = Mapping[str, tuple[Lock, ...]]
"""Locks by instrument, at most one for each cause."""


def impose(locks: Locks, trigger: Trigger, lock_minutes: int, now_ms: int) -> Locks:
    """Locks after a trigger. One that already holds for the same cause stays as it is.

    The first lock lasts ``lock_minutes``; one whose cause returns within a day of the last
    one's end lasts twice as long as that, a day at most.
    """
    before = _of_cause(locks, trigger.instrument, trigger.cause)
    if before is not None and before.active(now_ms):
        return locks
    minutes = lock_minutes
    if before is not None and before.minutes and now_ms - (before.until_ms or now_ms) < DAY_MS:
        minutes = max(lock_minutes, min(2 * before.minutes, _LONGEST_MINUTES))
    return _with(
        locks,
        Lock(
            instrument=trigger.instrument,
            cause=trigger.cause,
            since_ms=now_ms,
            until_ms=now_ms + minutes * MINUTE_MS,
            minutes=minutes,
            reason=trigger.reason,
            actor="guard",
        ),
    )


def impose_by_hand(
    locks: Locks, instrument: str, reason: str, actor: str, until_ms: int | None, now_ms: int
) -> Locks:
    """Locks after an operator's lock, which replaces an earlier one by hand."""
    return _with(
        locks,
        Lock(
            instrument=instrument,
            cause=LockCause.MANUAL,
            since_ms=now_ms,
            until_ms=until_ms,
            minutes=0,
            reason=reason,
            actor=actor,
        ),
    )


def lift(locks: Locks, instrument: str, now_ms: int) -> Locks:
    """Locks with every running lock of an instrument ended now."""
    ended = tuple(
        replace(lock, until_ms=now_ms) if lock.active(now_ms) else lock
        for lock in locks.get(instrument, ())
    )
    return {**locks, instrument: ended} if ended else locks


def active(locks: Locks, now_ms: int, instrument: str | None = None) -> tuple[Lock, ...]:
    """Locks that hold now, by instrument and cause; of one instrument where it is given."""
    names: Iterable[str] = sorted(locks) if instrument is None else (instrument,)
    return tuple(
        lock
        for name in names
        for lock in sorted(locks.get(name, ()), key=lambda lock: lock.cause)
        if lock.active(now_ms)
    )


def forget_old(locks: Locks, now_ms: int) -> Locks:
    """Locks without those that ended more than a day ago: they double nothing any more."""
    remaining = {
        name: tuple(
            lock for lock in held if lock.until_ms is None or now_ms - lock.until_ms < DAY_MS
        )
        for name, held in locks.items()
    }
    return {name: held for name, held in remaining.items() if held}


def _of_cause(locks: Locks, instrument: str, cause: LockCause) -> Lock | None:
    return next((lock for lock in locks.get(instrument, ()) if lock.cause is cause), None)


def _with(locks: Locks, lock: Lock) -> Locks:
    others = tuple(x for x in locks.get(lock.instrument, ()) if x.cause is not lock.cause)
    return {**locks, lock.instrument: (*others, lock)}
