"""Orders from request to fill, with their records. Pure: no I/O, no clock."""
