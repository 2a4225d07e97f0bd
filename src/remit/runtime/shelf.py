"""A world's feeds in memory, read as a warehouse is: what a simulation learns from, without files."""

from collections.abc import Iterable, Mapping

import polars as pl

from remit.intake import TABLES, admit, in_force, last_of_each
from remit.runtime.training import READ
from remit.worlds import Delivery


class Shelf:
    """The admitted rows of every feed, by table. What was received is never changed, only added to; a copy shares the past."""

    def __init__(self, zone: str) -> None:
        self.zone = zone
        self._parts: dict[str, list[pl.DataFrame]] = {name: [] for name in TABLES}
        self._loads: dict[str, int] = {}
        self._read: dict[tuple[str, int], pl.DataFrame] = {}

    def copy(self) -> "Shelf":
        """A shelf with the same past."""
        other = Shelf(self.zone)
        other._parts = {name: list(parts) for name, parts in self._parts.items()}
        other._loads = dict(self._loads)
        return other

    def add(self, deliveries: Iterable[Delivery], now: int) -> None:
        """Admits what was delivered by `now`; the files of one feed together, which is many times faster than one by one."""
        by_feed: dict[str, list[pl.DataFrame]] = {}
        for delivery in deliveries:
            by_feed.setdefault(delivery.feed, []).append(delivery.rows.with_columns(pl.all().cast(pl.String)))
        for feed, frames in by_feed.items():
            rows = admit(pl.concat(frames, how="diagonal"), feed, now, zone=self.zone)
            self._parts[feed].append(rows)
            if rows.height:
                self._loads[feed] = now
        self._read.clear()

    def read(self, table: str, as_of: int) -> pl.DataFrame:
        """As `Source.read`; of prescriptions and touches every restatement is kept, which features sort out themselves."""
        if len(self._parts[table]) != 1:
            self._parts[table] = [pl.concat(self._parts[table] or [self._none(table)])]
        if (table, as_of) not in self._read:
            rows = self._parts[table][0].filter(pl.col("received_at") <= as_of)
            self._read = {key: kept for key, kept in self._read.items() if key[1] == as_of}
            self._read[table, as_of] = rows if TABLES[table].occurred in ("period", "occurred_at") else last_of_each(rows, table)
        return self._read[table, as_of]

    def about(self, hcps: list[str]) -> dict[str, pl.DataFrame]:
        """The tables that features read, about `hcps`, with every restatement received: as they stood at any instant, to whoever leaves out what came later."""
        wanted = pl.Series(hcps, dtype=pl.String).implode()
        kept = {table: pl.concat(self._parts[table] or [self._none(table)]) for table in READ}
        return {table: rows.filter(pl.col("hcp_id").is_in(wanted)) if "hcp_id" in rows.columns else rows for table, rows in kept.items()}

    def state(self, table: str, as_of: int) -> pl.DataFrame:
        """As `Source.state`."""
        return in_force(self.read(table, as_of), table, as_of)

    def loads(self, as_of: int) -> Mapping[str, int]:
        """As `Source.loads`."""
        return {feed: at for feed, at in self._loads.items() if at <= as_of}

    def _none(self, table: str) -> pl.DataFrame:
        return admit(pl.DataFrame(schema=dict.fromkeys(TABLES[table].contract.columns, pl.String)), table, 0, zone=self.zone)
