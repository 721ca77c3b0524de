"""Prices by time: quotes, ticks, candles, opening hours. Pure: no I/O, no clock."""
