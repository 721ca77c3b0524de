"""The ``sep-evaluator`` command line: ``windows``, ``backtest`` and ``sweep`` over candle files."""

from sep_evaluator.cli.parser import main

__all__ = ["main"]
