"""An OANDA v20 simulator: a synthetic or recorded market and a margin account, over HTTP."""
