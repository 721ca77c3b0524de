"""Sets stored values of a wrong type aside, so that the next write begins a new one."""

from collections.abc import Mapping

from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.lease import Lease

_log = get_logger("Store")

INTERVAL_S = 1.0

# Check and rename in one step: a value may be written meanwhile.
_SET_ASIDE = """
local moved = {}
for i, wanted in ipairs(ARGV) do
  local kind = redis.call('TYPE', KEYS[2 * i - 1])['ok']
  if kind ~= wanted and kind ~= 'none' then
    redis.call('RENAME', KEYS[2 * i - 1], KEYS[2 * i])
    table.insert(moved, KEYS[2 * i - 1])
    table.insert(moved, kind)
  end
end
return moved
"""


class StoredTypes:
    """The types of the keys that one service writes.

    A key of another type, which only a hand can have made, fails every command on it. The holder
    of the lease renames it to ``{key}:damaged`` for a person to look at.

    Args:
        types: ``string``, ``hash``, ``stream``, ``zset`` or ``list`` by key.
    """

    def __init__(self, store: Valkey, lease: Lease, types: Mapping[str, str]) -> None:
        self._lease = lease
        self._types = types
        self._set_aside = store.register_script(_SET_ASIDE)

    async def tick(self) -> None:
        """Set aside what is damaged, on the replica that holds the lease.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        if self._lease.held and self._types:
            await self.repair()

    async def repair(self) -> list[str]:
        """Set aside what is damaged; returns the keys.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        names = [name for key in self._types for name in (key, keys.damaged(key))]
        moved = await reply(self._set_aside(keys=names, args=list(self._types.values())))
        found = [raw.decode() for raw in moved]
        for key, kind in zip(found[::2], found[1::2], strict=True):
            _log.error(
                "stored value of a wrong type set aside",
                key=key, found=kind, expected=self._types[key], now=keys.damaged(key),
            )  # fmt: skip
        return found[::2]
