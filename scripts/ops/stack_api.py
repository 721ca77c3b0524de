"""The stack's public REST API, as the operations scripts use it."""

import argparse
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

DEFAULT_URL = "http://127.0.0.1:8000"
_RUN = Path(__file__).parents[2] / ".run"
_KEY_FILES = (_RUN / "keys" / "write", _RUN / "deploy" / "write_key")  # `make run`, deploy.sh

# A lease passes on within 15 s.
_WRITER_PAUSES_S = (0.2, 0.5, 1, 2, 4, 8)

Json = dict[str, Any]


class ApiError(Exception):
    """The stack refused a call, or did not answer: then ``status`` is 0. ``reason`` is stable."""

    def __init__(self, message: str, reason: str, status: int = 0) -> None:
        super().__init__(f"{message} ({reason})")
        self.reason = reason
        self.status = status


def add_connection_options(parser: argparse.ArgumentParser) -> None:
    """``--url`` and ``--key-file``, the same for every script."""
    given = os.environ.get("SEP_KEY_FILE")
    found = Path(given) if given else next((p for p in _KEY_FILES if p.is_file()), None)
    parser.add_argument(
        "--url",
        default=os.environ.get("SEP_URL", DEFAULT_URL),
        help="where Envoy listens; SEP_URL, or %(default)s",
    )
    parser.add_argument(
        "--key-file",
        type=_readable,
        default=None if found is None else str(found),
        metavar="FILE",
        help="key for calls that change something; SEP_KEY_FILE, or that of `make run`, or that of"
        " deploy.sh",
    )


def _readable(text: str) -> Path:
    path = Path(text)
    if not path.is_file() or not os.access(path, os.R_OK):
        raise argparse.ArgumentTypeError(f"can't read {text}")
    return path


class StackApi:
    """Calls through Envoy.

    Args:
        url: where Envoy listens.
        key_file: holds the key for calls that change something; none is sent without.
    """

    def __init__(self, url: str, key_file: Path | None) -> None:
        headers = {}
        if key_file is not None:
            headers["Authorization"] = f"Bearer {key_file.read_text().strip()}"
        # Past every proxy that the shell may name: this is a machine of ours.
        self._client = httpx.Client(base_url=url, headers=headers, trust_env=False)

    def get(self, path: str, **params: str | int) -> Json:
        """The answer to a GET.

        Raises:
            ApiError: refused, or no answer.
        """
        return self._call("GET", path, params=params, timeout=10)

    def post(self, path: str, body: Mapping[str, object], timeout_s: float = 65) -> Json:
        """The answer to a POST; Envoy itself gives the slow ones a minute.

        Where a service has several replicas only one writes; the others refuse before
        they do anything, so that asking again is safe.

        Raises:
            ApiError: refused, or no answer.
        """
        for pause_s in _WRITER_PAUSES_S:
            try:
                return self._call("POST", path, json=dict(body), timeout=timeout_s)
            except ApiError as error:
                if error.reason != "NOT_THE_WRITER":
                    raise
            time.sleep(pause_s)
        return self._call("POST", path, json=dict(body), timeout=timeout_s)

    def health(self) -> Json:
        """State of each part by name; empty when nobody answers."""
        try:
            body = self._client.get("/health", timeout=10).json()
        except (httpx.HTTPError, ValueError):
            return {}
        found: list[Json] = body.get("parts") or next(
            (d["parts"] for d in body.get("details", []) if "parts" in d), []
        )
        return {p["name"]: p["state"].removeprefix("PART_STATE_").lower() for p in found}

    def _call(self, method: str, path: str, **options: Any) -> Json:
        try:
            response = self._client.request(method, path, **options)
        except httpx.TimeoutException as error:
            raise ApiError(f"{method} {path} took too long", "TIMEOUT") from error
        except httpx.HTTPError as error:
            raise ApiError(f"{method} {path}: {error}", "UNREACHABLE") from error
        try:
            body: Json = response.json()
        except ValueError as error:
            message = f"{method} {path} answered no JSON"
            raise ApiError(message, "MALFORMED", response.status_code) from error
        if response.is_success:
            return body
        details = body.get("details") or [{}]
        reason = next((d["reason"] for d in details if "reason" in d), str(response.status_code))
        message = f"{method} {path}: {body.get('message', 'refused')}"
        raise ApiError(message, reason, response.status_code)
