"""Journal domain: pure functions of transactions, decisions and account values."""
