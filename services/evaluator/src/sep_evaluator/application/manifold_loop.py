"""Turns live prices into live manifolds every few seconds."""

from sep_evaluator.application.long_runs import LongRuns
from sep_evaluator.domain.signals import live_manifold
from sep_evaluator.ports import EvaluatorStore, PriceSource


class ManifoldLoop:
    """Writes the live manifold of every instrument that has a price.

    A price that has not changed is written again with its old time, so that readers see how
    stale the price feed is.
    """

    def __init__(self, runs: LongRuns, store: EvaluatorStore, prices: PriceSource) -> None:
        self._runs = runs
        self._store = store
        self._prices = prices

    async def tick(self) -> None:
        """Fetch prices and write manifolds, on the replica that holds the lease."""
        if not self._store.is_writer:
            return
        prices = await self._prices.prices(self._runs.instruments)
        async with self._runs.lock:
            manifolds = [
                manifold
                for price in prices
                if (manifold := live_manifold(self._runs.run(price.instrument), price))
            ]
        if manifolds:
            await self._store.save_manifolds(manifolds)
