"""Candles as protobuf messages."""
