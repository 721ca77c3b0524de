"""Used client order ids in Valkey.

The broker refuses a second order with the same id only while the first one is pending, and a
market order is never pending. So the gateway itself prevents an id from being sent twice.
"""

from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import Document, parse_document, read_document

from sep_gateway.ports import OrderClaim

CLAIM_TTL_S = 7 * 86_400
# Longer than any close stays unknown while the broker answers.
_OUTCOME_TTL_S = 86_400

# Replace a claim only if it has not changed. Sent twice by the client, it meets its own claim.
_REPLACE = """
local found = redis.call('GET', KEYS[1])
if found == ARGV[2] then return 1 end
if found ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""


class ClaimRecord(Document):
    """``ops:order_claim:{client_order_id}``."""

    ts: int
    since: int
    trade: int = 0
    units: str = ""
    by: str = ""


class ValkeyOrderClaimStore:
    """Implements ``ports.OrderClaimStore``."""

    def __init__(self, store: Valkey) -> None:
        self._store = store
        self._replace = store.register_script(_REPLACE)

    async def claim(self, client_order_id: str, claim: OrderClaim) -> OrderClaim | None:
        """Claim an id in one step; the earlier claim if it is taken, None on success.

        The client repeats a command whose answer was lost, which then finds this very claim.
        """
        key = keys.order_claim(client_order_id)
        raw = await reply(self._store.set(key, _json(claim), nx=True, get=True, ex=CLAIM_TTL_S))
        earlier = None if raw is None else _claim(parse_document(ClaimRecord, key, raw))
        return None if earlier == claim and claim.by else earlier

    async def read(self, client_order_id: str) -> OrderClaim | None:
        """The claim of an id."""
        record = await read_document(self._store, ClaimRecord, keys.order_claim(client_order_id))
        return None if record is None else _claim(record)

    async def replace(self, client_order_id: str, old: OrderClaim, new: OrderClaim) -> bool:
        """Replace a claim; False when another caller has replaced it first."""
        return bool(
            await reply(
                self._replace(
                    keys=[keys.order_claim(client_order_id)],
                    args=[_json(old), _json(new), CLAIM_TTL_S],
                )
            )
        )

    async def release(self, client_order_id: str) -> None:
        """Delete the claim of an order that was not sent."""
        await reply(self._store.delete(keys.order_claim(client_order_id)))

    async def record(self, key: str, claim: OrderClaim) -> None:
        """Store a claim whatever was there before."""
        await reply(self._store.set(keys.order_claim(key), _json(claim), ex=CLAIM_TTL_S))

    async def give_outcome(self, transaction_id: int, client_order_id: str) -> str:
        """Give the ledger's outcome of a close to a client order id; the id that has it then."""
        key = keys.order_claim(f"close-outcome-{transaction_id}")
        owner = await reply(
            self._store.set(key, client_order_id, nx=True, get=True, ex=_OUTCOME_TTL_S)
        )
        return client_order_id if owner is None else owner.decode(errors="replace")


def _json(claim: OrderClaim) -> str:
    record = ClaimRecord(
        ts=claim.ts_ms,
        since=claim.since_transaction_id,
        trade=claim.trade_id,
        units=claim.units,
        by=claim.by,
    )
    return record.model_dump_json(exclude_defaults=True)


def _claim(record: ClaimRecord) -> OrderClaim:
    return OrderClaim(
        ts_ms=record.ts,
        since_transaction_id=record.since,
        trade_id=record.trade,
        units=record.units,
        by=record.by,
    )
