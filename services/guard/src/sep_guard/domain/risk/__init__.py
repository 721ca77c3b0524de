"""Risk limits on live results: pure rules over what the broker's ledger and quotes say."""
