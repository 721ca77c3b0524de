"""Guard decisions: pure functions of account, market, limits and time."""
