"""What an HCP's peers did, as known at an instant: from the ties in force then and a frame of features."""

import polars as pl

from remit.features.known import Frame, current

LEAST_PEERS = 3
"""Peers whose prescribing may be seen: of fewer, nothing is told."""


def ties(peers: Frame, as_of: int) -> pl.DataFrame:
    """Who follows whom at `as_of` (`source`, `target`, one row a pair, sorted), of the feed `peers` as received by then; what `peer_influence` takes."""
    known = current(peers, ["hcp_id", "peer_id", "kind"], as_of)
    return known.select(source="hcp_id", target="peer_id").unique().sort("source", "target")


def of_peers(frame: pl.DataFrame, tied: pl.DataFrame) -> pl.DataFrame:
    """Per row of `frame` (as `build` gives, of everybody) the share of the HCP's peers who wrote the product in the last six known periods (`peers_wrote`) and
    how their weighted mean of 2 periods stands to that of 13 (`peers_growth`): `hcp_id`, `product` and both, in the frame's order.

    Peers under PDRP, or not known to be outside it, count for nothing, so nothing of theirs can show; with fewer than `LEAST_PEERS` others of whom something
    is known both are null. The labels are those of prescriptions: `commercial` and `pdrp`.
    """
    seen = frame.filter(~pl.col("pdrp").fill_null(True)).select(
        "product",
        target="hcp_id",
        wrote=(pl.col("rx_frequency") > 0).cast(pl.Int64),
        newly=(pl.col("rx_mean_2") * _PARTS).round().cast(pl.Int64),
        usually=(pl.col("rx_mean_13") * _PARTS).round().cast(pl.Int64),
    )
    told = tied.join(seen.drop_nulls(), on="target", how="inner").group_by("source", "product").agg(pl.len(), pl.col("wrote", "newly", "usually").sum())
    enough = told.filter(pl.col("len") >= LEAST_PEERS).select(
        "product",
        hcp_id="source",
        peers_wrote=pl.col("wrote") / pl.col("len"),
        peers_growth=pl.when(pl.col("usually") > 0).then(pl.col("newly") / pl.col("usually")),
    )
    return frame.select("hcp_id", "product").join(enough, on=["hcp_id", "product"], how="left", maintain_order="left")


_PARTS = 1024
"""Means are summed in whole parts of so many to a unit: sums of integers do not depend on the order of threads."""
