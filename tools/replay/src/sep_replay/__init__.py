"""Recorded candles through the decisions of evaluator, allocator and guard, by event time."""
