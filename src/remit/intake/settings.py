"""The feed file: what the people who deliver a feed say about it."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from remit.intake.errors import IntakeError
from remit.terms.errors import ClockError
from remit.terms.instants import add_span

_KEYS = ("lag", "lag_from", "zone", "source", "doubtful_percent")


@dataclass(frozen=True, slots=True)
class Settings:
    """A feed's settings.

    `lag` is how long after a row happened (`lag_from` = `end`: the end of its period, or the row's own instant; `start`: the start of its period) it is known,
    where the row does not say so itself; None: when it is loaded. `zone` is that of its weeks and months. A file with more than `doubtful_percent` bad rows
    is loaded and marked doubtful. `more` holds the settings of the feed's own layout, as text.
    """

    source: str
    lag: str | None = None
    lag_from: str = "end"
    zone: str = "UTC"
    doubtful_percent: int = 20
    more: Mapping[str, str] = field(default_factory=dict)


def read_settings(folder: Path, zone: str, own: Mapping[str, str]) -> Settings:
    """The settings in `folder/feed.toml`, or the defaults where there is no such file. `own` holds the keys and defaults of the feed's own layout.

    Raises `IntakeError` with every fault of the file.
    """
    path = folder / "feed.toml"
    try:
        given = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise IntakeError(f"cannot be read: {error}", where=str(path)) from None
    faults = [fault for key, value in given.items() for fault in _faults(key, value, own)]
    if faults:
        raise IntakeError("is not a feed file", where=str(path), do=f"Its keys are {', '.join([*_KEYS, *own])}.", faults=faults)
    shared = {key: value for key, value in given.items() if key in _KEYS}
    more = {key: _text(given.get(key, default)) for key, default in own.items()}
    return Settings(**{"source": f"feed:{folder.name}", "zone": zone, "more": more, **shared})


def _faults(key: str, value: Any, own: Mapping[str, str]) -> list[str]:
    if key not in _KEYS and key not in own:
        return [f"`{key}` is not a setting of this feed"]
    if key == "doubtful_percent":
        good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100
        return [] if good else [f"doubtful_percent = `{value}` is not a whole number from 0 to 100"]
    if key in own and isinstance(value, (bool, int, float)):
        return []
    if not isinstance(value, str) or not value:
        return [f"{key} = `{value}` is not text"]
    if key == "lag_from":
        return [] if value in ("start", "end") else [f"lag_from = `{value}` is neither `start` nor `end`"]
    try:
        if key == "lag":
            add_span(0, value)
        if key == "zone":
            ZoneInfo(value)
    except (ClockError, ValueError, KeyError, OSError):
        return [f"{key} = `{value}` is not a {'span of time such as `1 week`' if key == 'lag' else 'time zone such as `Europe/Berlin`'}"]
    return []


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
