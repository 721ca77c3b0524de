"""Allocation decisions: pure functions of gates, windows, sessions, limits and time."""
