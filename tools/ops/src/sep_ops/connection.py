"""The connection of a command to the stack: ``--url``, ``--key-file`` and the client."""

import argparse
import os
import time
from pathlib import Path
from typing import TypeVar

import httpx
from sep_client import ApiError, Client, NoAnswerError
from sep_client.call import Call

DEFAULT_URL = "http://127.0.0.1:8000"
_KEY_FILES = (Path(".run/keys/write"), Path(".run/deploy/write_key"))  # `make run`, deploy.sh

_READ_TIMEOUT_S = 10.0
_WRITE_TIMEOUT_S = 65.0  # Envoy gives the slow writes a minute
# A replica takes over the writer lease within 15 s; a limit on calls lasts a second or so.
_REFUSED_AT_FIRST = ("NOT_THE_WRITER", "RATE_LIMITED")
_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)

T = TypeVar("T")


class CallError(Exception):
    """A call was refused or not answered.

    Attributes:
        reason: stable reason of the API's error, or TIMEOUT, UNREACHABLE or MALFORMED.
        status: HTTP status of the API's error; 0 without one.
    """

    def __init__(self, call: str, message: str, reason: str, status: int = 0) -> None:
        super().__init__(f"{call}: {message} ({reason})")
        self.reason = reason
        self.status = status


class StackClient(Client):
    """The typed client, with the timeouts and retries of an operator's command.

    Every method raises ``CallError`` when it is refused or gets no answer. Calls are not retried,
    except where a service refuses before it does anything, so that repeating the call is safe: a
    replica that does not hold the writer lease, and a limit on calls, which a warm-up of many
    instruments reaches.
    """

    def __init__(self, url: str, key: str | None) -> None:
        # Proxies of the environment are ignored: the stack runs on this machine or nearby.
        http = httpx.Client(trust_env=False, event_hooks={"request": [_set_timeout]})
        super().__init__(url, key=key, retries=0, http=http)

    def send(self, call: Call[T]) -> T:
        """Send a call and return the answer.

        Raises:
            CallError: the call was refused, or there was no answer.
        """
        for pause_s in _PAUSES_S:
            try:
                return self._send_once(call)
            except CallError as error:
                if error.reason not in _REFUSED_AT_FIRST:
                    raise
            time.sleep(pause_s)
        return self._send_once(call)

    def _send_once(self, call: Call[T]) -> T:
        name = f"{'GET' if call.reads else 'POST'} {call.path}"
        try:
            return super().send(call)
        except ApiError as error:
            raise CallError(name, error.message, error.reason, error.status) from error
        except NoAnswerError as error:
            cause = error.__cause__
            if isinstance(cause, httpx.TimeoutException):
                raise CallError(name, "took too long", "TIMEOUT") from error
            if isinstance(cause, httpx.HTTPError):
                raise CallError(name, str(cause), "UNREACHABLE") from error
            raise CallError(name, str(error), "MALFORMED") from error


def add_connection_options(parser: argparse.ArgumentParser, project: Path) -> None:
    """Add ``--url`` and ``--key-file``.

    Args:
        project: the folder whose ``.run`` holds the key of `make run` or deploy.sh.
    """
    given = os.environ.get("SEP_KEY_FILE")
    candidates = (project / path for path in _KEY_FILES)
    found = Path(given) if given else next((p for p in candidates if p.is_file()), None)
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


def connect(options: argparse.Namespace) -> StackClient:
    """The client that ``--url`` and ``--key-file`` describe."""
    key_file: Path | None = options.key_file
    return StackClient(options.url, None if key_file is None else key_file.read_text())


def _readable(text: str) -> Path:
    path = Path(text)
    if not path.is_file() or not os.access(path, os.R_OK):
        raise argparse.ArgumentTypeError(f"can't read {text}")
    return path


def _set_timeout(request: httpx.Request) -> None:
    seconds = _READ_TIMEOUT_S if request.method == "GET" else _WRITE_TIMEOUT_S
    request.extensions["timeout"] = httpx.Timeout(seconds).as_dict()
