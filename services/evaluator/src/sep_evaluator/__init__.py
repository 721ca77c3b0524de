"""Evaluator: candles to kernel metrics, strict-span backtests and the gates blob."""
