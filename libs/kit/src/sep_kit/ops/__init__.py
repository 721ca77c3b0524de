"""Health, status and metrics of the whole stack, which every service can report."""
