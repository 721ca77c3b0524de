"""The evaluator's pure core: no I/O, no protobuf, no clock."""
