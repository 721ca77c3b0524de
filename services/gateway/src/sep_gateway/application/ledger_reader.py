"""Reads a part of the account's ledger, completed with what single entries lack."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from sep_fx.freshness import Freshness, age_of
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import CorruptRecordError, SepError, StoreUnavailableError

from sep_gateway.application.left_out_members import LeftOutMembers
from sep_gateway.application.price_cache import PriceCache
from sep_gateway.application.unclaimed_orders import UnclaimedOrders
from sep_gateway.domain.trade_closes import trade_close_claim
from sep_gateway.domain.transactions import Transaction
from sep_gateway.ports import Broker, OrderClaimStore

_ORDER_BEFORE_FILL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """A transaction, and whether this stack claimed the order behind it before sending it."""

    transaction: Transaction
    own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPart:
    """Entries by id.

    ``whole`` is False where an entry of the range is missing; one that can't be read is there, and
    marked. ``last_id`` is the account's newest transaction.
    """

    entries: tuple[LedgerEntry, ...]
    last_id: int
    whole: bool


class LedgerReader:
    """Reads transactions by id.

    Args:
        claims_live_s: an older transaction's claim is gone, so it counts as this stack's.
    """

    def __init__(
        self,
        broker: Broker,
        claims: OrderClaimStore,
        unclaimed: UnclaimedOrders,
        prices: PriceCache,
        left_out: LeftOutMembers,
        clock: Clock,
        *,
        claims_live_s: float,
    ) -> None:
        self._broker = broker
        self._claims = claims
        self._unclaimed = unclaimed
        self._left_out = left_out
        self._clock = clock
        self._claims_live_s = claims_live_s
        self._prices = prices

    async def read(self, since: int, through: int | None) -> LedgerPart:
        """The ledger after ``since``, up to ``through`` where it is given.

        Raises:
            BrokerUnavailableError: the broker does not respond.
        """
        await self._unclaimed.flush()
        # A fill has fewer fields than its order, which may be in the part that was read before.
        first = max(0, since - _ORDER_BEFORE_FILL)
        page = await self._broker.transactions_since(first, through)
        self._left_out.report("ledger", page.unread)
        last = page.last_id if through is None else min(through, page.last_id)
        found = [t for t in _with_orders(page.transactions) if since < t.id <= last]
        valued = [await self._valued(t) for t in found]
        ids = [t.id for t in found]
        own = await self._own(valued)
        return LedgerPart(
            entries=tuple(LedgerEntry(transaction=t, own=t.id in own) for t in valued),
            last_id=page.last_id,
            whole=ids == list(range(since + 1, last + 1)),
        )

    async def _own(self, transactions: Sequence[Transaction]) -> set[int]:
        """Ids of the transactions whose order, or close of a trade, this stack claimed.

        Where claims can't be read, all count as claimed: an order is not another writer's for
        that, and a store that hangs is asked once.
        """
        own = set[int]()
        for transaction in transactions:
            try:
                if await self._claimed(transaction):
                    own.add(transaction.id)
            except CorruptRecordError:
                own.add(transaction.id)
            except StoreUnavailableError:
                return {t.id for t in transactions}
        return own

    async def _claimed(self, transaction: Transaction) -> bool:
        age = age_of(
            transaction.details.ts_ms,
            now_ms(self._clock),
            self._claims_live_s,
            including_limit=True,
        )
        if age.verdict is Freshness.STALE:
            return True
        keys = [transaction.client_order_id]
        if transaction.details.trade_close_id:
            keys.append(trade_close_claim(transaction.details.trade_close_id))
        for key in filter(None, keys):
            if self._unclaimed.get(key) is not None or await self._claims.read(key) is not None:
                return True
        return False

    async def _valued(self, transaction: Transaction) -> Transaction:
        """With a conversion of the quote currency, where a fill has none of its own."""
        details = transaction.details
        if details.opened is None or details.home_per_quote is not None:
            return transaction
        rate = await self._rate(transaction.instrument)
        return replace(transaction, details=replace(details, home_per_quote=rate))

    async def _rate(self, instrument: str) -> Decimal | None:
        try:
            pricing = await self._prices.pricing([instrument])
        except SepError:
            return None
        quote = instrument.rpartition("_")[2]
        rates = [c.position_value for c in pricing.conversions if c.currency == quote]
        return rates[0] if rates else None


def _with_orders(transactions: Sequence[Transaction]) -> list[Transaction]:
    """Fills, cancels and rejects with what only the creation of their order says."""
    created = {t.id: t for t in transactions if t.type.endswith("_ORDER")}
    completed = []
    for transaction in transactions:
        order = created.get(int(transaction.order_id)) if transaction.order_id.isdigit() else None
        if order is not None:
            transaction = replace(  # noqa: PLW2901
                transaction,
                instrument=transaction.instrument or order.instrument,
                client_order_id=transaction.client_order_id or order.client_order_id,
                tag=transaction.tag or order.tag,
                details=replace(
                    transaction.details,
                    reduce_only=order.details.reduce_only,
                    trade_close_id=order.details.trade_close_id,
                ),
            )
        completed.append(transaction)
    return completed
