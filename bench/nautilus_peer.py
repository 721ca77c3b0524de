"""NautilusTrader's backtest of the same bars and orders; run by an interpreter that has it.

``PYTHON nautilus_peer.py WORK.npz``. NautilusTrader needs other versions of pandas and uvloop than
ours, so it is in an environment of its own, and this file imports nothing of the project.

The file has, for each instrument, ``NAME/bars`` (eight rows: bid and ask, open to close),
``NAME/time`` (ends of the bars in seconds) and ``NAME/entries`` (rows of time in seconds, units,
stop, target). Its strategy looks nothing up and decides nothing: it sends these orders as
brackets, and closes what is open before the next. The line that it prints has the processor seconds
of the engine's run, without those in which bars are made, and what came of it.
"""

import json
import sys
import time
from typing import Any

import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model import Bar, BarType, Money, Quantity, TraderId, Venue
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

_VENUE = Venue("SIM")
_NS = 1_000_000_000
_VOLUME = Quantity.from_int(10_000_000)
_SIDES = {"BID": 0, "ASK": 4}
"""The first row of each side."""


class PlannedOrders(Strategy):  # type: ignore[misc]
    """Sends orders at the times that it is given, by instrument and time in ns."""

    def __init__(self, plan: dict[Any, tuple[float, float, float]], bar_types: list[Any]) -> None:
        super().__init__()
        self._plan = plan
        self._bar_types = bar_types

    def on_start(self) -> None:
        """Ask for the bars."""
        for bar_type in self._bar_types:
            self.subscribe_bars(bar_type)

    def on_bar(self, bar: Any) -> None:
        """Close what is open and send the next bracket, if one is planned for this bar."""
        planned = self._plan.get((bar.bar_type.instrument_id, bar.ts_event))
        if planned is None:
            return
        units, stop, target = planned
        instrument = self.cache.instrument(bar.bar_type.instrument_id)
        self.cancel_all_orders(instrument.id)
        self.close_all_positions(instrument.id)
        orders = self.order_factory.bracket(
            instrument_id=instrument.id,
            order_side=OrderSide.BUY if units > 0 else OrderSide.SELL,
            quantity=instrument.make_qty(abs(units)),
            sl_trigger_price=instrument.make_price(stop),
            tp_price=instrument.make_price(target),
        )
        self.submit_order_list(orders)


def main() -> None:
    """Run it and print a line of JSON."""
    work = np.load(sys.argv[1])
    engine = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId("BENCH-001"),
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(bypass=True),
        )
    )
    engine.add_venue(
        venue=_VENUE, oms_type=OmsType.NETTING, account_type=AccountType.MARGIN,
        base_currency=USD, starting_balances=[Money(100_000, USD)], bar_execution=True,
    )  # fmt: skip
    plan: dict[Any, tuple[float, float, float]] = {}
    bar_types = []
    names = sorted({key.partition("/")[0] for key in work.files})
    for name in names:
        instrument = TestInstrumentProvider.default_fx_ccy(name.replace("_", "/"), _VENUE)
        engine.add_instrument(instrument)
        bars, times = work[f"{name}/bars"], work[f"{name}/time"]
        for side, row in _SIDES.items():
            bar_type = BarType.from_str(f"{instrument.id}-1-MINUTE-{side}-EXTERNAL")
            prices = bars[row : row + 4].T.tolist()
            engine.add_data(
                [
                    Bar(bar_type, *map(instrument.make_price, bar), _VOLUME, at, at)
                    for bar, at in zip(prices, (times * _NS).tolist(), strict=True)
                ]
            )
            if side == "BID":
                bar_types.append(bar_type)
        for at, units, stop, target in work[f"{name}/entries"].tolist():
            plan[instrument.id, int(at) * _NS] = (units, stop, target)
    engine.add_strategy(PlannedOrders(plan, bar_types))
    began = time.process_time()
    engine.run()
    seconds = time.process_time() - began
    positions = len(engine.cache.positions()) + len(engine.cache.position_snapshots())
    print(
        json.dumps(
            {"seconds": seconds, "orders": len(engine.cache.orders()), "positions": positions}
        )
    )


if __name__ == "__main__":
    main()
