"""OANDA v20 over HTTP: requests, streams and parsing."""
