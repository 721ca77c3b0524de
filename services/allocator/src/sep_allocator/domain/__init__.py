"""Allocation decisions: pure functions of blob, signals, limits and time."""
