"""Implementations of the ports: OANDA v20 and Valkey."""
