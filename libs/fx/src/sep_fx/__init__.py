"""FX values: instruments, granularities, instants, bars, sessions. Pure: no I/O, no clock."""
