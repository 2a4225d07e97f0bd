"""`remit authority diff`: which recorded decisions would have come out otherwise under another table."""

import re
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl

from remit.authority import Judgement, Table, judge, stopped
from remit.ledger import Records, Stored, read_ledger
from remit.runtime import limiting
from remit.runtime.cycle import TAKEN
from remit.runtime.cycles import cycle_body, last_cycle
from remit.runtime.errors import WorkspaceError
from remit.runtime.stopping import stops_at
from remit.runtime.weighing import decided, table_text
from remit.runtime.workspace import Workspace, config_texts, read_config, recall
from remit.terms.encoding import digest
from remit.terms.instants import format_instant, parse_instant
from remit.terms.verdicts import Ruling, Verdict

EXAMPLES = 3
_COLUMNS = ("cycle", "number", "agent", "channel", "product", "was", "then", "done")


def differed(workspace: Workspace, was: str, then: str, since: str | None) -> dict[str, Any]:
    """What the table `then` would have made of every decision recorded `since` an instant (None: ever), beside what `was` makes of it, on the facts recorded
    with each: counted by agent and by ruling from and to, with examples. A table is a file, or a version such as `v1`: one that a cycle recorded, or the
    workspace's own. `limits` names those in which the tables differ, and which are left out.

    Raises `WorkspaceError`, `AuthorityError` or `ClockError`."""
    start = None if since is None else parse_instant(since)
    with closing(read_ledger(workspace.ledger)) as records:
        last = int(cycle_body(records, last_cycle(records))["now"])
        tables = [_table(workspace, records, name, last) for name in (was, then)]
        frames, cycles, decisions = [], 0, 0
        for entry, rows in decided(records, start):
            cycles, decisions = cycles + 1, decisions + rows.height
            stops = stops_at(records, int(entry.body["inputs"]["log"]))
            frames.append(_changed(entry, rows, *(stopped(table, stops) for table in tables)))
    if not cycles:
        raise WorkspaceError(f"no decision was recorded since {since}", where="--since", do=f"The last cycle was at {format_instant(last)}.")
    changed = pl.concat(frames)
    return {
        "was": _named(was, tables[0]),
        "then": _named(then, tables[1]),
        "since": None if start is None else format_instant(start),
        "cycles": cycles,
        "decisions": decisions,
        "differ": changed.height,
        "limits": limiting.differing(*tables),
        "changes": [_told(rows, *key) for key, rows in changed.sort("agent", "from", "to").group_by("agent", "from", "to", maintain_order=True)],
    }


def _table(workspace: Workspace, records: Records, name: str, now: int) -> Table:
    """The table in a file, by the people on file now; or of a version, by the people who were on file in the first cycle that recorded it."""
    if not re.fullmatch(r"v[0-9]+", name) or Path(name).is_file():
        return read_config(config_texts(workspace)).with_table(table_text(Path(name))).read_table(now)
    found = _versions(workspace, records, now)
    named = {key: table for key, table in found.items() if f"v{table.version}" == name}
    if not named:
        have = ", ".join(sorted({f"v{table.version}" for table in found.values()}))
        raise WorkspaceError(f"no cycle has recorded a table of version {name[1:]}, and authority.yaml is another", do=f"There are {have}; or name a file.")
    if len(named) > 1:
        files = [str(path if (path := workspace.objects / key).is_file() else workspace.root / "authority.yaml") for key in named]
        do = "Name one of these files; and raise `version` with every change."
        raise WorkspaceError(f"{len(named)} tables all say that they are version {name[1:]}", faults=files, do=do)
    return next(iter(named.values()))


def _versions(workspace: Workspace, records: Records, now: int) -> dict[str, Table]:
    """Every table that a cycle recorded, and the workspace's own, by digest."""
    found: dict[str, Table] = {}
    for entry in records.entries(kind="cycle"):
        digests = entry.body["inputs"]["config"]
        if digests["authority.yaml"] not in found:
            config = read_config(recall(workspace, digests))
            found[digests["authority.yaml"]] = config.read_table(int(entry.body["now"]))
    own = read_config(config_texts(workspace))
    if digest(own.table_text.encode()) not in found:
        table = own.read_table(now)
        found[table.digest] = table
    return found


def _changed(entry: Stored, rows: pl.DataFrame, was: Table, then: Table) -> pl.DataFrame:
    """The decisions of a cycle that the two tables judge otherwise: `_COLUMNS`, with the rows that made either verdict, and the ruling `from` and `to`."""
    judged = {"was": judge(rows, was), "then": judge(rows, then)}
    codes = rows.select(
        pl.lit(entry.cycle).alias("cycle"),
        "number",
        *(pl.col(name).cast(pl.String) for name in ("agent", "channel", "product")),
        *(judgement.columns["verdict"].alias(name) for name, judgement in judged.items()),
        done=TAKEN,
    )
    pairs = codes.select("was", "then").unique().sort("was", "then")
    words = [_words(judged["was"].verdicts[one], judged["then"].verdicts[other]) for one, other in pairs.iter_rows()]
    told = pairs.with_columns(pl.Series(name, [word[place] for word in words], dtype=pl.String) for place, name in enumerate(("from", "to")))
    otherwise = codes.join(told.drop_nulls(), on=["was", "then"], how="inner", maintain_order="left").select(*_COLUMNS, "from", "to")
    return otherwise.with_columns(_rules(judgement, otherwise[name]).alias(name) for name, judgement in judged.items())


def _rules(judgement: Judgement, codes: pl.Series) -> pl.Series:
    return pl.Series([",".join(verdict.rules) for verdict in judgement.verdicts], dtype=pl.String).gather(codes)


def _words(was: Verdict, then: Verdict) -> tuple[str | None, str | None]:
    """The two rulings, None where nothing differs; two confirms differ by whom they ask, how long, and what follows."""
    if was.ruling is not then.ruling:
        return was.ruling.value, then.ruling.value
    if was.ruling is Ruling.CONFIRM and (set(was.roles), was.deadline_us, was.on_timeout) != (set(then.roles), then.deadline_us, then.on_timeout):
        return Ruling.CONFIRM.value, "confirm otherwise"
    return None, None


def _told(rows: pl.DataFrame, agent: str, was: str, then: str) -> dict[str, Any]:
    """A kind of change, with its first examples, those that were acted on before others."""
    examples = [_example(row) for row in rows.sort(~pl.col("done"), "cycle", "number").head(EXAMPLES).iter_rows(named=True)]
    return {"agent": agent, "from": was, "to": then, "decisions": rows.height, "acted": int(rows["done"].sum()), "examples": examples}


def _example(row: Mapping[str, Any]) -> dict[str, Any]:
    by = {name: row[name].split(",") if row[name] else [] for name in ("was", "then")}
    return {"decision": f"{row['cycle']}/{row['number']}", "channel": row["channel"], "product": row["product"], "rows": by["was"], "rows_then": by["then"]}


def _named(name: str, table: Table) -> dict[str, Any]:
    return {"named": name, "name": table.name, "version": table.version, "digest": table.digest}
