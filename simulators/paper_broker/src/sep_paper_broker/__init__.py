"""An OANDA v20 stand-in: a synthetic or recorded market and a faithful account, over HTTP."""
