"""FX values: instruments, granularities, instants, ages, bars, sessions. No I/O, no clock."""
