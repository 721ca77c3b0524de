"""Files of the command line: candle CSV in, JSON out, and the errors a command ends with."""

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


class UsageError(Exception):
    """The command line is wrong; the message says what to give instead. Exit code 2."""


class CommandFailedError(Exception):
    """The command failed; the message says what to do about it. Exit code 1."""


def read_bars(path: Path, *, skip_bad: bool) -> "Bars":
    """Read the bars of one file; with ``skip_bad`` report the number of malformed rows on stderr.

    Raises:
        CommandFailedError: the file can't be read, or holds a malformed row.
    """
    from sep_fx.candle_csv import MalformedCandleError, read_candle_file

    try:
        file = read_candle_file(path, skip_bad=skip_bad)
    except MalformedCandleError as error:
        raise _malformed(error) from None
    except (OSError, zlib.error) as error:
        raise CommandFailedError(
            f"can't read {path}: {error}; give --candles a readable file"
        ) from None
    if skip_bad:
        print(f"skipped {file.skipped} malformed rows", file=sys.stderr)
    return file.bars


def _malformed(error: Exception) -> CommandFailedError:
    return CommandFailedError(f"{error}; correct the row, or skip such rows with --skip-bad")


def parsed_series(
    files: Mapping[str, Sequence[Path]],
    *,
    skip_bad: bool,
    workers: int,
    progress: Callable[[], None],
) -> "Generator[tuple[str, Bars]]":
    """Yield each instrument and its bars, parsed by ``workers`` processes.

    Parsing text takes longer than the backtests, hence the processes.

    Args:
        files: candle files by instrument, each group in time order.
        progress: called after each file.

    Raises:
        CommandFailedError: a file can't be read, holds a malformed row or is out of order.
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
        with _sigint_blocked():
            parsed = {path: pool.submit(_read_file, path, skip_bad=skip_bad) for path in paths}
        for instrument, group in files.items():
            parts: list[Bars] = []
            for path in group:
                file = parsed.pop(path).result()
                skipped += file.skipped
                if parts and len(file.bars) and file.bars.time[0] <= parts[-1].time[-1]:
                    raise CommandFailedError(
                        f"{path} begins before the file before it ends; remove one of them"
                    )
                if len(file.bars):
                    parts.append(file.bars)
                progress()
            yield instrument, Bars.concatenate(parts)
    except MalformedCandleError as error:
        raise _malformed(error) from None
    except (OSError, zlib.error) as error:
        raise CommandFailedError(f"{error}; give --candles a directory of readable files") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if skip_bad:
        print(f"skipped {skipped} malformed rows", file=sys.stderr)


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Block SIGINT; processes started in the block inherit the mask and ignore Ctrl-C.

    The terminal sends SIGINT to every process of the group, but only the parent should act on it.
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
    """Yield a JSON array piece by piece, one row per line."""
    before = "[\n"
    for row in rows:
        yield before + json.dumps(row)
        before = ",\n"
    yield ("[]" if before == "[\n" else "\n]") + end


def write_out(out: str, parts: Iterable[str]) -> None:
    """Write the text to a file atomically, or to stdout when ``out`` is ``-``.

    Raises:
        CommandFailedError: the file can't be written.
    """
    if out == "-":
        sys.stdout.writelines(parts)
        sys.stdout.flush()
        return
    try:
        with _atomic_write(Path(out)) as text:
            text.writelines(parts)
    except OSError as error:
        raise CommandFailedError(
            f"can't write {out}: {error}; give --json a writable path"
        ) from None


@contextmanager
def _atomic_write(path: Path) -> Iterator[TextIO]:
    """Write to a temporary file in the same directory and rename it over ``path`` at the end."""
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
