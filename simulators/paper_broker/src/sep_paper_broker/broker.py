"""The broker: advances one account through one market."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sep_fx.instants import NS_PER_SECOND

from sep_paper_broker.account.account import Account
from sep_paper_broker.account.financing import rollovers
from sep_paper_broker.account_faults import AccountFaults
from sep_paper_broker.market.market import Market, quote_at
from sep_paper_broker.market.quote import Quote
from sep_paper_broker.market.trigger_levels import first_trigger
from sep_paper_broker.orders.pending_levels import pending_levels

Clock = Callable[[], int]

# After a gap (a restart) the account catches up in steps of this length, so that a margin
# closeout happens close to the time at which it was due.
_STEP_NS = 60 * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Progress:
    """The time up to which the account has seen the market, in nanoseconds."""

    processed_ns: int


class Broker:
    """Advances the account through the market as time passes.

    Prices exist on whole seconds only, so two calls within one second see the same market.

    Args:
        account: the account.
        market: the source of prices.
        clock: returns nanoseconds since the epoch.
        processed_ns: the time up to which the account has seen the market.
        account_faults: faults that change the account or delay its views.
        save: callback that persists the account; called after every change, before a response
            is sent.
    """

    def __init__(
        self,
        *,
        account: Account,
        market: Market,
        clock: Clock,
        processed_ns: int,
        save: Callable[[Account, Progress], None],
        account_faults: AccountFaults,
    ) -> None:
        self.account = account
        self.market = market
        self.clock = clock
        self.halted: frozenset[str] = frozenset()
        self.delisted: frozenset[str] = frozenset()
        self._processed = processed_ns
        self._seen_second = -1
        self._seen_halted = self.halted
        self._save = save
        self._account_faults = account_faults
        self._saved = -1
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()

    def advance(self) -> int:
        """Advance the account to now: fill stops and take profits, book financing, update quotes.

        Returns:
            The current time; it never decreases, even if the clock does.
        """
        now = self._now()
        self._advance_to(now)
        self._account_faults.apply(self.account, now)
        self.commit()
        return now

    def view(self, path: str) -> Account:
        """The account as a request to the path sees it; faults may delay what it shows."""
        return self._account_faults.view(self.account, path, self._now())

    def _now(self) -> int:
        return max(self.clock(), self._processed)

    def _advance_to(self, now: int) -> None:
        second = now // NS_PER_SECOND
        if second == self._seen_second and self.halted == self._seen_halted:
            return
        for until, is_rollover in self._checkpoints(self._processed, now):
            self._replay_market(self._processed, until)
            self._processed = until
            if is_rollover:
                self.account.accrue_financing(until)
        self._seen_second, self._seen_halted = second, self.halted

    def commit(self) -> None:
        """Persist a changed account and wake callers of ``changed``."""
        count = len(self.account.book.ledger)
        if count == self._saved:
            return
        self._save(self.account, Progress(self._processed))
        self._saved = count
        self._account_faults.record(self.account, self._now())
        self._changed.set()
        self._changed = asyncio.Event()

    def quote(self, instrument: str) -> Quote | None:
        """An instrument's quote as the account last saw it."""
        return self.account.book.quotes.get(instrument)

    async def changed(self, timeout: float) -> None:  # noqa: ASYNC109 - a wait, not a deadline
        """Wait for the account's next change or for close, at most ``timeout`` seconds."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._changed, self._closing)]
        try:
            await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def pause(self, seconds: float) -> None:
        """Sleep; returns early at close."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    @property
    def closed(self) -> bool:
        """Whether streams should end."""
        return self._closing.is_set()

    def close(self) -> None:
        """End the streams."""
        self._closing.set()

    def _checkpoints(self, after: int, now: int) -> Iterator[tuple[int, bool]]:
        """Times at which to process the market up to now, and whether each is a rollover.

        Every rollover is one; while trades are open, so is every step.
        """
        rolls = iter([*rollovers(after, now)])
        roll = next(rolls, None)
        at = after
        while at < now:
            step = at + _STEP_NS if self.account.book.instruments_held() else now
            until = min(step, now, roll if roll is not None else now)
            is_roll = until == roll
            if is_roll:
                roll = next(rolls, None)
            yield until, is_roll
            at = until
        if after == now:
            yield now, False

    def _replay_market(self, after: int, until: int) -> None:
        """Fill orders that prices in ``(after, until]`` reach, then observe the last quotes."""
        book = self.account.book
        begin, end = after // NS_PER_SECOND + 1, until // NS_PER_SECOND + 1
        while begin < end:
            hits = [
                hit
                for levels in pending_levels(book)
                if levels.instrument not in self.halted
                and (hit := first_trigger(self.market, levels, begin, end)) is not None
            ]
            if not hits:
                break
            at = min(hits)
            self.account.observe(
                self._quotes(at * NS_PER_SECOND, self.account.instruments_needed())
            )
            begin = at + 1
        self.account.observe(self._quotes(until, frozenset(self.market.instruments)))

    def _quotes(self, at_ns: int, names: frozenset[str]) -> list[Quote]:
        found = (quote_at(self.market, name, at_ns) for name in sorted(names))
        return [
            Quote(instrument=q.instrument, time_ns=q.time_ns, bid=q.bid, ask=q.ask, tradeable=False)
            if q.instrument in self.halted
            else q
            for q in found
            if q is not None
        ]


def discard_state(account: Account, progress: Progress) -> None:
    """A ``save`` callback that persists nothing."""
