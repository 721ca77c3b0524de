"""The account's state: trades, margin, ledger, transactions. Pure: no I/O, no clock."""
