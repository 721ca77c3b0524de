"""Typed client of the SEP stack's REST API."""

from sep_client.async_client import AsyncClient
from sep_client.client import Client
from sep_client.errors import ApiError, NoAnswerError, SepError

__all__ = ["ApiError", "AsyncClient", "Client", "NoAnswerError", "SepError"]
