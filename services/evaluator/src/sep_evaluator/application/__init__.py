"""Loops of the evaluator: the order of steps. Everything outside comes in through ports."""
