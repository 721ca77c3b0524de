"""Plays recorded candles through evaluator, allocator and guard, by event time."""
