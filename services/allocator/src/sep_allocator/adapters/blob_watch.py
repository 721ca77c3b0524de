"""Word of a new blob, so that weights follow at once."""

from collections.abc import Callable

from sep_kit.store import keys
from sep_kit.store.connection import Valkey, store_errors


class BlobWatch:
    """Calls back when the evaluator has published."""

    def __init__(self, store: Valkey, published: Callable[[], None]) -> None:
        self._store = store
        self._published = published

    async def run(self) -> None:
        """Listen until cancelled; missing a word costs no more than one interval.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        async with store_errors(), self._store.pubsub() as channel:
            await channel.subscribe(keys.GATES_CHANNEL)
            while True:
                message = await channel.get_message(ignore_subscribe_messages=True, timeout=5.0)
                if message is not None:
                    self._published()
