"""Word of something new, so that a loop need not wait for its interval."""

from collections.abc import Callable

from sep_kit.cancellation import raise_if_cancelled
from sep_kit.store.connection import Valkey, store_errors


class ChannelWatch:
    """Calls back with each message of a channel; those sent while it is away are missed.

    Args:
        listening: called each time that it begins to listen: look for what was missed.
    """

    def __init__(
        self,
        store: Valkey,
        channel: str,
        told: Callable[[bytes], None],
        listening: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._channel = channel
        self._told = told
        self._listening = listening

    async def run(self) -> None:
        """Listen until cancelled; made to be a loop's tick, so a failure is tried again.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        async with store_errors(), self._store.pubsub() as channel:
            await channel.subscribe(self._channel)
            while True:
                message = await channel.get_message(timeout=5.0)
                raise_if_cancelled()
                if message is not None:
                    if message["type"] == "message":
                        self._told(message["data"])
                    else:
                        self._listening()
                else:
                    # A frozen server sends nothing either: silence has to be told from it.
                    await self._store.ping()
