"""OANDA v20 over HTTP: requests, streams and parsing."""

from sep_kit.optional_imports import without

# httpx is a command too, which click and rich draw.
with without("click"):
    import httpx as httpx
