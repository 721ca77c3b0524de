"""``sep-state``: backs up, verifies, restores, migrates and repairs the state of a stack."""
