"""The channel `files`: lists that people and mail systems take from a folder."""

import csv
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from remit.terms.encoding import digest


@dataclass(frozen=True, slots=True)
class Delivery:
    """A list handed over: its file name, the SHA-256 of its bytes, the rows in it."""

    name: str
    digest: str
    rows: int


def lists(rows: list[Mapping[str, str]], by: str) -> dict[str, bytes]:
    """The CSV files for actions of one channel: one per value of column `by`, or one in all if `by` is the channel. Rows keep their order.

    `rows` hold what the reader of a list may see, and nothing else reaches the file.
    """
    files: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        files.setdefault(f"{row['channel']}-{row[by]}.csv" if by != "channel" else f"{row['channel']}.csv", []).append(row)
    return {name: _csv(part) for name, part in sorted(files.items())}


def deliver(folder: Path, files: Mapping[str, bytes], write: Callable[[Mapping[Path, bytes]], None]) -> tuple[Delivery, ...]:
    """Puts the files into `folder` with `write` (each whole or not at all). One that is there with the same bytes is left alone: acting twice writes once."""
    paths = {folder / name: data for name, data in sorted(files.items())}
    write({path: data for path, data in paths.items() if not (path.is_file() and path.read_bytes() == data)})
    return tuple(Delivery(name, digest(data), data.count(b"\n") - 1) for name, data in sorted(files.items()))


def take_back(folder: Path, names: Iterable[str]) -> None:
    """Removes lists that were put into `folder` and not recorded as handed over."""
    for name in names:
        (folder / name).unlink(missing_ok=True)


def strike(path: Path, decisions: Collection[str], write: Callable[[Path, bytes], None]) -> set[str]:
    """Takes the rows of `decisions` out of a list that lies where it was put, with `write`, and the whole list away if nothing else is in it. Says which
    were there: whoever has read it already must be told all the same. Whoever comes for it meanwhile finds nothing, so that no row is taken twice; broken
    off, it is finished when it is asked for again."""
    aside = path.with_name(f".{path.name}.struck")
    try:
        path.rename(aside)
    except FileNotFoundError:
        if not aside.is_file():
            return set()
    try:
        with aside.open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
        there = {row["decision"] for row in rows} & set(decisions)
    except (ValueError, KeyError, csv.Error):
        aside.rename(path)  # it is no list of ours any more
        raise
    kept = [row for row in rows if row["decision"] not in decisions]
    if not kept:
        aside.unlink()
    else:
        if len(kept) < len(rows):
            write(aside, _csv(kept))
        aside.rename(path)
    return there


def _csv(rows: Sequence[Mapping[str, str]]) -> bytes:
    text = StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
