"""Live prices to live manifolds, every few seconds."""

import asyncio

from redis.asyncio.client import Pipeline
from sep_kit.store.lease import Lease
from sep_kit.store.records import ManifoldRecord
from sep_kit.store.signals import queue_manifold

from sep_evaluator.long_runs import LongRuns
from sep_evaluator.ports import PriceSource
from sep_evaluator.signals import live_manifold


class ManifoldLoop:
    """Writes the live manifold of every instrument that has a price.

    A price that did not move on is written again with its own time, so a dead feed
    looks as stale as it is.
    """

    def __init__(
        self, runs: LongRuns, lock: asyncio.Lock, lease: Lease, prices: PriceSource
    ) -> None:
        self._runs = runs
        self._lock = lock
        self._lease = lease
        self._prices = prices

    async def tick(self) -> None:
        """Ask for prices and write manifolds."""
        if not self._lease.held:
            return
        prices = await self._prices.prices(self._runs.instruments)
        async with self._lock:
            manifolds = [
                manifold
                for price in prices
                if (manifold := live_manifold(self._runs.run(price.instrument), price))
            ]
        if manifolds:
            await self._lease.write(lambda pipe: _queue(pipe, manifolds))


def _queue(pipe: Pipeline, manifolds: list[ManifoldRecord]) -> None:
    for manifold in manifolds:
        queue_manifold(pipe, manifold)
