"""Why a lead is scored as it is, and why a touch is held to add what it does: what each feature adds, in words, for the rows asked about."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.features import Panel
from remit.models.effects import Floats
from remit.models.estimators.lead_score import LeadScore
from remit.models.estimators.response import Response
from remit.models.inputs import Input, hidden_rows
from remit.models.panel_response import PanelResponse
from remit.terms.encoding import MICRO
from remit.terms.labels import Label

OF_BRICK = " (average of the brick)"
"""Follows what is said of prescribing where nobody's own is known."""

_OF_RESPONSE = {
    "channel": pl.String, "hcp_id": pl.String, "product": pl.String, "rank": pl.Int64, "feature": pl.String, "factor": pl.Int64, "text": pl.String
}  # fmt: skip


def reasons(model: LeadScore, frame: pl.DataFrame, viewer: AbstractSet[Label], *, threads: int, most: int = 3) -> pl.DataFrame:
    """The `most` features that move each row's lead score furthest from its product's mean, strongest first.

    Returns `hcp_id`, `product`, `rank` (from 1), `feature`, `factor` (what it multiplies the expectation by, int64 millionths) and `text`. A feature is
    named only if the viewer holds all its labels, and none that is labelled `pdrp` for a physician under PDRP. What is known of a brick only is said to be
    the brick's average. Meant for the rows that were chosen: the cost grows with the trees' leaves.
    """
    frame = frame.sort("hcp_id", "product")
    added = model.contributions(model.inputs.protected(frame), threads=threads)[:, : len(model.inputs.columns)]
    return _said(frame, model.inputs.columns, added, viewer, most, "the expectation")


def reasons_of_response(
    model: Response | PanelResponse, frame: pl.DataFrame, seen: Callable[[], Panel], viewer: AbstractSet[Label], *, most: int = 3
) -> pl.DataFrame:
    """The `most` features that move what a touch adds furthest from what it adds for the usual HCP, strongest first: of each row and each channel whose effect
    is known. `seen` gives the panel that a response over time takes bases from.

    Returns `channel` and the columns of `reasons`, whose rules of what is shown hold; a `factor` multiplies the effect, which is relative to the HCP's own
    level for a response over time.
    """
    frame = frame.sort("hcp_id", "product")
    parts = []
    for product, channel, columns, added in model.contributions(frame, seen()) if isinstance(model, PanelResponse) else model.contributions(frame):
        said = _said(frame.filter(product=product), columns, added, viewer, most, f"the effect of {channel}")
        parts.append(said.select(pl.lit(channel).alias("channel"), pl.all()))
    return pl.concat(parts) if parts else pl.DataFrame(schema=_OF_RESPONSE)


def _said(frame: pl.DataFrame, columns: Sequence[Input], added: Floats, viewer: AbstractSet[Label], most: int, what: str) -> pl.DataFrame:
    """What `columns` have `added` to a logarithm, in words: a row per row of `frame`, a column per column."""
    hidden = hidden_rows(frame).to_numpy()
    shown, pdrp = (np.array(flags, bool) for flags in ([column.labels <= viewer for column in columns], [Label.PDRP in column.labels for column in columns]))
    strength = np.rint(np.abs(added) * MICRO).astype(np.int64) * (shown & ~(hidden[:, None] & pdrp))
    place = np.argsort(-strength, axis=1, kind="stable")[:, :most]  # of equals, the first column
    row, rank = np.nonzero(np.take_along_axis(strength, place, axis=1))
    place = place[row, rank]
    names, says = (pl.Series(texts, dtype=pl.String) for texts in ([column.name for column in columns], [column.says for column in columns]))
    average = _of_brick(frame)[row] & pdrp[place]
    ranked = frame.select("hcp_id", "product")[row].with_columns(
        pl.Series("rank", rank + 1, pl.Int64),
        feature=names.gather(place),
        says=says.gather(place) + pl.Series(np.where(average, OF_BRICK, "").tolist(), dtype=pl.String),
        factor=pl.Series(np.rint(np.exp(added[row, place]) * MICRO).astype(np.int64)),
    )
    percent = (pl.col("factor") - MICRO).abs() // 10_000
    amount = pl.when(percent > 0).then(pl.format("{}%", percent)).otherwise(pl.lit("less than 1%"))
    way = pl.when(pl.col("factor") >= MICRO).then(pl.lit("raises")).otherwise(pl.lit("lowers"))
    return ranked.select("hcp_id", "product", "rank", "feature", "factor", text=pl.format(f"{{}} {{}} {what} by {{}}", "says", way, amount))


def _of_brick(frame: pl.DataFrame) -> npt.NDArray[np.bool_]:
    """Whether what a row tells of prescribing is its brick's average."""
    return frame["rx_of_brick"].fill_null(False).to_numpy() if "rx_of_brick" in frame.columns else np.zeros(frame.height, bool)
