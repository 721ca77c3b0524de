"""Settings that several services read, grouped by topic."""
