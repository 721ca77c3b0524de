"""Settings: typed, frozen, validated as one; every fault listed at once."""
