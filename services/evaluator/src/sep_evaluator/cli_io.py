"""What the command line reads and writes: candle files in, JSON out, one-line errors."""

import json
import os
import signal
import sys
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from sep_fx.bars import Bars
    from sep_fx.candle_csv import CandleFile


class WrongUseError(Exception):
    """The command asks for something that can't be; says what to write instead."""


class FailedError(Exception):
    """The work could not be done; says what to do about it."""


def read_bars(path: Path, *, skip_bad: bool) -> "Bars":
    """The bars of one file; with ``skip_bad`` the malformed rows are counted on stderr.

    Raises:
        FailedError: the file can't be read, or holds a malformed row.
    """
    from sep_fx.candle_csv import MalformedCandleError, read_candle_file

    try:
        file = read_candle_file(path, skip_bad=skip_bad)
    except MalformedCandleError as error:
        raise _malformed(error) from None
    except (OSError, zlib.error) as error:
        raise FailedError(f"can't read {path}: {error}; give --candles a readable file") from None
    if skip_bad:
        print(f"skipped {file.skipped} malformed rows", file=sys.stderr)
    return file.bars


def _malformed(error: Exception) -> FailedError:
    return FailedError(f"{error}; correct the row, or leave such rows out with --skip-bad")


def parsed_series(
    files: Mapping[str, Sequence[Path]],
    *,
    skip_bad: bool,
    workers: int,
    progress: Callable[[], None],
) -> "Generator[tuple[str, Bars]]":
    """The bars of every instrument, parsed by ``workers`` processes: text is slower than figures.

    Args:
        files: candle files by instrument, each group in order of time.
        progress: called after each file.

    Raises:
        FailedError: a file can't be read, holds a malformed row or is out of order.
    """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from sep_fx.bars import Bars
    from sep_fx.candle_csv import MalformedCandleError

    paths = [path for group in files.values() for path in group]
    size = min(workers, len(paths))
    pool = ProcessPoolExecutor(size, get_context("spawn"))
    skipped = 0
    try:
        with _interrupts_held():
            parsed = {path: pool.submit(_read_file, path, skip_bad=skip_bad) for path in paths}
        for instrument, group in files.items():
            parts: list[Bars] = []
            for path in group:
                file = parsed.pop(path).result()
                skipped += file.skipped
                if parts and len(file.bars) and file.bars.time[0] <= parts[-1].time[-1]:
                    raise FailedError(
                        f"{path} begins before the file before it ends; leave one of them out"
                    )
                if len(file.bars):
                    parts.append(file.bars)
                progress()
            yield instrument, Bars.concatenate(parts)
    except MalformedCandleError as error:
        raise _malformed(error) from None
    except (OSError, zlib.error) as error:
        raise FailedError(f"{error}; give --candles a directory of readable files") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if skip_bad:
        print(f"skipped {skipped} malformed rows", file=sys.stderr)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back for a moment; processes begun meanwhile never see it.

    It reaches every process of the terminal, but only the parent is to act on it.
    """
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


def _read_file(path: Path, *, skip_bad: bool) -> "CandleFile":
    from sep_fx.candle_csv import read_candle_file

    return read_candle_file(path, skip_bad=skip_bad)


def json_array(rows: Iterable[dict[str, Any]], end: str = "\n") -> Iterator[str]:
    """A JSON array, one row a line, without holding all of its text."""
    before = "[\n"
    for row in rows:
        yield before + json.dumps(row)
        before = ",\n"
    yield ("[]" if before == "[\n" else "\n]") + end


def write_out(out: str, parts: Iterable[str]) -> None:
    """Write the text to a file, whole or not at all, or to stdout where ``out`` is ``-``.

    Raises:
        FailedError: the file can't be written.
    """
    if out == "-":
        sys.stdout.writelines(parts)
        sys.stdout.flush()
        return
    try:
        with _replaced(Path(out)) as text:
            text.writelines(parts)
    except OSError as error:
        raise FailedError(f"can't write {out}: {error}; give --json a writable path") from None


@contextmanager
def _replaced(path: Path) -> Iterator[TextIO]:
    """Write beside the file and move it there when whole, so that no half file is left."""
    if path.exists() and not path.is_file():  # a device or a pipe can't be replaced
        with path.open("w", encoding="utf-8") as text:
            yield text
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as text:
            yield text
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
