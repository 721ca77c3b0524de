"""The v20 REST and streaming interface over a ``Broker``."""
