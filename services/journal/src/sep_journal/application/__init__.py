"""The order of steps, on ports."""
