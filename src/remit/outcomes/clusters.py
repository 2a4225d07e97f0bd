"""Clusters of HCPs with few ties between them, so that what one side of a holdout does reaches the other as little as can be.

Labels spread along ties under a bound on their size, and over the clusters so found again, until nothing merges (Meyerhenke, Sanders and Schulz 2014,
Partitioning complex networks via size-constrained clustering); then single HCPs move once more. HCPs are visited in order of their ids, so nothing is random.
"""

import numpy as np
import polars as pl

from remit.outcomes.looks import Ints

_ROUNDS = 8
_SETTLED = 0.01
"""Rounds end when a smaller share moves."""


def clusters(hcps: pl.Series, ties: pl.DataFrame, most: int) -> pl.DataFrame:
    """The cluster of each of `hcps` (ids), at most `most` to one: `hcp_id`, `cluster` (from 0, in the order of their first HCPs), sorted by `hcp_id`.

    `ties` holds `source` and `target`; direction does not matter, a tie each way counts twice, and ties to others count for nothing. Who has no ties is alone.
    """
    ids = hcps.unique().sort()
    first, second, weight = _edges(ids, ties)
    graph, sizes, label = (first, second, weight), np.ones(len(ids), np.int64), np.arange(len(ids))
    while True:
        found = _spread(*graph, sizes, np.arange(len(sizes)), most)
        label, merged = found[label], int(found.max(initial=-1)) + 1 < len(sizes)
        if not merged:
            break
        graph, sizes = _together(*graph, found), np.bincount(found, sizes).astype(np.int64)
    label = _spread(first, second, weight, np.ones(len(ids), np.int64), label, most)
    return pl.DataFrame({"hcp_id": ids, "cluster": pl.Series(label, dtype=pl.Int64)})


def joined(new: pl.Series, ties: pl.DataFrame, units: pl.DataFrame, most: int) -> pl.DataFrame:
    """Which of `units` (`hcp_id`, `unit`) each of the `new` HCPs belongs to by its ties: of those with room (`most` to one), the one that most of them lead to,
    itself or through others who are new; of several, the first by name. `hcp_id`, `unit`, without those whom no tie leads to any."""
    both = pl.concat([ties.select("source", "target"), ties.select(source="target", target="source")])
    known, answer = units.select("hcp_id", "unit"), units.select("hcp_id", "unit").clear()
    while True:
        found = both.filter(pl.col("source").is_in(new.implode())).join(known, left_on="target", right_on="hcp_id", how="inner")
        found = found.join(known, left_on="source", right_on="hcp_id", how="anti").group_by("source", "unit").len()
        room = known.group_by("unit").agg(room=most - pl.len().cast(pl.Int64)).filter(pl.col("room") > 0)
        found = found.join(room, on="unit", how="inner").sort("source", "len", "unit", descending=[False, True, False])
        best = found.unique("source", keep="first", maintain_order=True).sort("len", "source", descending=[True, False])
        best = best.filter(pl.int_range(pl.len()).over("unit") < pl.col("room")).select("unit", hcp_id="source").select("hcp_id", "unit")
        if best.is_empty():
            return answer.sort("hcp_id")
        known, answer = pl.concat([known, best]), pl.concat([answer, best])


def between(ties: pl.DataFrame, units: pl.DataFrame, name: str = "unit") -> float | None:
    """The share of `ties` (`source`, `target`) whose ends differ in the column `name` of `units` (`hcp_id`, a row each); None where no tie has both ends
    there."""
    sides = units.select("hcp_id", name)
    ends = ties.join(sides, left_on="source", right_on="hcp_id", how="inner").join(sides, left_on="target", right_on="hcp_id", how="inner", suffix="_target")
    return float((ends[name] != ends[f"{name}_target"]).mean()) if ends.height else None  # type: ignore[arg-type]  # the mean of flags that are there


def _edges(ids: pl.Series, ties: pl.DataFrame) -> tuple[Ints, Ints, Ints]:
    place = pl.DataFrame({"hcp_id": ids}).with_row_index("row")
    known = ties.join(place, left_on="source", right_on="hcp_id", how="inner").join(place, left_on="target", right_on="hcp_id", how="inner", suffix="_target")
    source, target = (known[name].to_numpy().astype(np.int64) for name in ("row", "row_target"))
    return _together(source, target, np.ones(len(source), np.int64), np.arange(len(ids)))


def _together(source: Ints, target: Ints, weight: Ints, label: Ints) -> tuple[Ints, Ints, Ints]:
    """Ties between labels, each pair once, by the sum of their weights; those within one are gone."""
    one, other = label[source], label[target]
    apart = one != other
    count = int(label.max(initial=0)) + 1
    pair, at = np.unique(np.minimum(one, other)[apart] * count + np.maximum(one, other)[apart], return_inverse=True)
    return pair // count, pair % count, np.bincount(at, weight[apart], len(pair)).astype(np.int64)


def _spread(source: Ints, target: Ints, weight: Ints, sizes: Ints, label: Ints, most: int) -> Ints:
    """Labels after each node has moved, as often as it helps, to the label that its ties weigh most to and that has room; numbered from 0 by first node."""
    count = len(sizes)
    ends, others = np.concatenate([source, target]), np.concatenate([target, source])
    order = np.lexsort((others, ends))
    start, near, ties = np.searchsorted(ends[order], np.arange(count + 1)).tolist(), others[order].tolist(), np.concatenate([weight, weight])[order].tolist()
    size, own = sizes.tolist(), label.tolist()
    total = np.bincount(label, sizes).astype(np.int64).tolist() if count else []
    visits = np.argsort(sizes, kind="stable").tolist()
    for _ in range(_ROUNDS):
        moved = 0
        for node in visits:
            seen: dict[int, int] = {}
            for edge in range(start[node], start[node + 1]):
                there = own[near[edge]]
                seen[there] = seen.get(there, 0) + ties[edge]
            here = best = own[node]
            heaviest = seen.get(here, 0)
            for there, heavy in seen.items():
                if heavy > heaviest and total[there] + size[node] <= most:
                    best, heaviest = there, heavy
            if best != here:
                own[node] = best
                total[here] -= size[node]
                total[best] += size[node]
                moved += 1
        if moved <= _SETTLED * count:
            break
    _, firsts, numbered = np.unique(np.array(own, np.int64), return_index=True, return_inverse=True)
    return np.argsort(np.argsort(firsts))[numbered].astype(np.int64)
