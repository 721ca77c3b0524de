"""The gateway service: the only component of the stack that talks to OANDA v20."""
