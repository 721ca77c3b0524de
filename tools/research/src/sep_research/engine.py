"""Runs tasks on threads of this process or on a Dask cluster; results come in the tasks' order.

A task depends on nothing but its job and its argument, so the results are the same on any number of
workers, and a task whose worker died is run again elsewhere.
"""

import pickle
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from sep_research.errors import SchedulerUnreachableError
from sep_research.tasks import Job

_CONNECT_S = 10
_RETRIES = 3

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Task:
    """A function of ``tasks``, the index of its job, and its argument."""

    function: Callable[[Job, Any], Any]
    job: int
    argument: Any


class Engine(Protocol):
    """Runs tasks."""

    def run(self, jobs: Sequence[Job], tasks: Sequence[Task], progress: Progress) -> Iterator[Any]:
        """Yield the results in the tasks' order; calls ``progress`` with 1 for each."""
        ...


class ThreadEngine:
    """Threads of this process; the compiled loops release the interpreter's lock."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def run(self, jobs: Sequence[Job], tasks: Sequence[Task], progress: Progress) -> Iterator[Any]:
        """Yield the results in the tasks' order."""
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="sweep")
        try:
            futures = [pool.submit(t.function, jobs[t.job], t.argument) for t in tasks]
            for future in futures:
                yield future.result()
                progress(1)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class ClusterEngine:
    """Workers of a Dask cluster that have this project installed.

    Args:
        address: of the scheduler, such as ``tcp://127.0.0.1:8786``.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def run(self, jobs: Sequence[Job], tasks: Sequence[Task], progress: Progress) -> Iterator[Any]:
        """Yield the results in the tasks' order.

        Raises:
            SchedulerUnreachableError: the scheduler does not answer.
        """
        from distributed import Client

        try:
            client: Any = Client(  # type: ignore[no-untyped-call]
                self._address, timeout=_CONNECT_S, set_as_default=False
            )
        except (OSError, ValueError) as error:
            raise SchedulerUnreachableError(
                f"no scheduler answers at {self._address}: {error}; start one with `dask scheduler`"
            ) from None
        with client, warnings.catch_warnings():
            # A job is sent within its task, so that it can be sent again when its worker dies.
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            shared = [
                client.submit(_unpacked, _packed(job), pure=False, retries=_RETRIES) for job in jobs
            ]
            futures = [
                client.submit(t.function, shared[t.job], t.argument, pure=False, retries=_RETRIES)
                for t in tasks
            ]
            for future in futures:
                yield future.result()
                progress(1)


def _packed(job: Job) -> bytes:
    return zlib.compress(pickle.dumps(job), 1)


def _unpacked(packed: bytes) -> Job:
    job: Job = pickle.loads(zlib.decompress(packed))  # noqa: S301  our own, one call earlier
    return job
