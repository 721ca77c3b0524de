"""The evaluator: turns candles into window metrics, strict-span backtests and gates."""
