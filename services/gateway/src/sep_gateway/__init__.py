"""The gateway: the only part of the stack that speaks OANDA v20."""
