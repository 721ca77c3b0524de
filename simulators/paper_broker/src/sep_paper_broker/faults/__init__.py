"""Injected faults: the registry of active faults and the corruption of responses."""
