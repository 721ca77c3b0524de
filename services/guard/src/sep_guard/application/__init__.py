"""The order of steps of a cycle, a drain and an order; I/O goes through ``ports``."""
