"""OANDA v20 over HTTP: requests, answers as values, streams."""
