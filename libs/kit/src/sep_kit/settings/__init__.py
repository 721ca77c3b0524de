"""Settings from the environment: typed, frozen, validated together, all faults listed at once."""
