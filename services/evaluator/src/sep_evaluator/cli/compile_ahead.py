"""``python -m sep_evaluator.cli.compile_ahead`` fills the cache of compiled machine code.

Run it when the stack is installed, so that neither the first start of a service nor the first sweep
has to compile.
"""

from sep_fx.sessions import MarketCalendar, SessionCalendar

from sep_evaluator.cli.sweep import Market, sweep
from sep_evaluator.domain.compile_ahead import compile_ahead, generated_bars
from sep_evaluator.domain.params import StrategyParams


def main() -> None:
    """Compile what services and sweeps call."""
    compile_ahead()
    market = Market(
        granularity_s=60, calendar=SessionCalendar(MarketCalendar.ALWAYS), exit_minutes=5
    )
    for _ in sweep([("EUR_USD", generated_bars())], [StrategyParams()], market, workers=1):
        pass


if __name__ == "__main__":
    main()
