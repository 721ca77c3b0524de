"""Faults injected on request: which are active, and how they alter answers."""
