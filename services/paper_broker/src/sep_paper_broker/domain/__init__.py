"""The market and the account. Pure: no I/O, no clock, no HTTP."""
