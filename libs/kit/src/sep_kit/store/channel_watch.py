"""Subscription to a Valkey channel, which wakes loops before their interval ends."""

from collections.abc import Callable

from sep_kit.cancellation import raise_if_cancelled
from sep_kit.store.connection import Valkey, store_errors


class ChannelWatch:
    """Calls back with each message of a channel.

    Messages published while it is not subscribed are missed.

    Args:
        on_message: called with the data of each message.
        on_subscribed: called after each subscription, to catch up on missed messages.
    """

    def __init__(
        self,
        store: Valkey,
        channel: str,
        on_message: Callable[[bytes], None],
        on_subscribed: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._channel = channel
        self._on_message = on_message
        self._on_subscribed = on_subscribed

    async def run(self) -> None:
        """Subscribe until cancelled; run it as a ``Subscription``, which retries.

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
                        self._on_message(message["data"])
                    else:
                        self._on_subscribed()
                else:
                    # A frozen server is silent too: check that this one answers.
                    await self._store.ping()
