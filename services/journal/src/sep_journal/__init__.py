"""The journal: the ledger, trades with exact costs, performance and decisions, in SQL."""
