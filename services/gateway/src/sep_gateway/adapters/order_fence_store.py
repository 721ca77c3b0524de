"""The newest fencing token of an order in Valkey: ``ops:order_fence``."""

from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply

# A value that is not a number is replaced: it protects nothing. As text, since a script's numbers
# would be cut.
_ADMIT = """
local raw = redis.pcall('GET', KEYS[1])
local known = type(raw) == 'string' and tonumber(raw) or 0
if tonumber(ARGV[1]) > known then
  redis.call('SET', KEYS[1], ARGV[1])
  return ARGV[1]
end
return raw
"""


class ValkeyFenceStore:
    """Implements ``ports.FenceStore``."""

    def __init__(self, store: Valkey) -> None:
        self._admit = store.register_script(_ADMIT)

    async def admit(self, token: int) -> int:
        """Record a token unless a newer one is known; returns the newest.

        Raises:
            StoreUnavailableError: Valkey does not respond.
        """
        return int(float(await reply(self._admit(keys=[keys.ORDER_FENCE], args=[str(token)]))))
