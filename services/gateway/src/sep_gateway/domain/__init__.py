"""What the gateway knows and decides: pure, no I/O, no protobuf, no clock."""
