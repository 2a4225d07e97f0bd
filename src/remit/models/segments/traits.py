"""What tells physicians apart: slow traits of each HCP, with the words for having much or little of them, and their information labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.features import Catalogue
from remit.models.inputs import ADMITTED, hidden_rows, learn_inputs
from remit.terms.encoding import digest
from remit.terms.labels import Label

Floats = npt.NDArray[np.float64]

FEWEST = 10
"""The fewest HCPs of a segment."""

_USUAL_TOUCHES = 6.0
"""An HCP's own record of touches must be this long to count as much as what is usual."""

_MANY = {"email": "e-mails"}
"""What several touches of a channel are called, where it is not the channel's name with an s."""


@dataclass(frozen=True, slots=True)
class Trait:
    """One trait: `name` is its key; `much` and `little` say which side of the rest somebody is on, before `of` (what there is much or little of). `little` is
    empty for a text: not being a cardiologist sets nobody apart."""

    name: str
    labels: frozenset[Label]
    much: str
    little: str
    of: str

    @property
    def text(self) -> bool:
        """Whether it is one level of a text: 1 or 0."""
        return not self.little

    @property
    def column(self) -> str:
        """What the levels of a text share."""
        return self.name.partition("=")[0]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """`values[h, k]` of trait k (NaN: unknown) of each of `hcps`, sorted, and whose prescribing is `hidden`."""

    hcps: tuple[str, ...]
    traits: tuple[Trait, ...]
    values: Floats
    hidden: npt.NDArray[np.bool_]

    def lots(self, rows: npt.NDArray[np.int64]) -> Floats:
        """A lot of each of `rows`, from 0 to 1: it follows from the id and tells nothing of it."""
        return np.array([int(digest(self.hcps[row].encode())[:13], 16) / 16**13 for row in rows.tolist()], np.float64)

    def column(self, name: str) -> Floats | None:
        """The values of a trait, or None where nobody has it."""
        places = [place for place, trait in enumerate(self.traits) if trait.name == name]
        return self.values[:, places[0]] if places else None

    @property
    def weight(self) -> Floats:
        """What each trait counts when likeness is all there is to go by: 1, and of a text half of it among its levels, for what people do tells more than
        what they are."""
        columns = [trait.column for trait in self.traits]
        return np.array([0.5 / columns.count(trait.column) if trait.text else 1.0 for trait in self.traits])

    @property
    def scale(self) -> Floats:
        """The standard deviation of each trait over those of whom it is known; 1 where it does not vary."""
        if not self.hcps:
            return np.ones(len(self.traits))
        known = np.isfinite(self.values)
        count = np.maximum(known.sum(axis=0), 1)
        zeroed = np.where(known, self.values, 0.0)
        spread = np.sqrt((np.where(known, zeroed - zeroed.sum(axis=0) / count, 0.0) ** 2).sum(axis=0) / count)
        return np.asarray(np.where(spread > 1e-9, spread, 1.0))


def behaviour(frame: pl.DataFrame, catalogue: Catalogue, channels: Sequence[str]) -> Behaviour:
    """The traits of each HCP of `frame` (rows per HCP and product, as `features.build` gives), from what a model for promotion may be made of, and of touches
    those through `channels`.

    In the rows of physicians under PDRP, prescribing is the average of the others of the specialty; where nobody's may be seen, it is left out.
    """
    given = [column.name for column in catalogue.columns if column.labels <= ADMITTED and column.name in frame.columns]
    rows, private = _protected(frame.sort("hcp_id", "product"), catalogue)
    given = [name for name in given if private or Label.PDRP not in catalogue[name].labels]
    hcps = rows["hcp_id"].unique().sort()
    first = rows.unique("hcp_id", keep="first", maintain_order=True)
    found = _of_the_person(first, given, catalogue) + _by_channel(rows, given, catalogue, channels) + _by_product(rows, given, catalogue, hcps)
    values = np.column_stack([column for _, column in found]) if found else np.zeros((len(hcps), 0))
    return Behaviour(tuple(hcps.to_list()), tuple(trait for trait, _ in found), values, hidden_rows(first).to_numpy())


def _protected(rows: pl.DataFrame, catalogue: Catalogue) -> tuple[pl.DataFrame, bool]:
    """The rows as a model may see them, and whether anybody's prescribing may be seen at all."""
    seen = rows.filter(~hidden_rows(rows))
    if set(seen["product"].unique()) != set(rows["product"].unique()):
        return rows, False
    return learn_inputs(seen.with_columns(instant=pl.lit(0, pl.Int64)), catalogue).protected(rows), True


_Found = list[tuple[Trait, Floats]]


def _of_the_person(first: pl.DataFrame, given: list[str], catalogue: Catalogue) -> _Found:
    found: _Found = []
    for level in _levels(first["specialty"]) if "specialty" in given else ():
        trait = Trait(f"specialty={level}", catalogue["specialty"].labels, "", "", f"{level} physicians")
        found.append((trait, _numbers((first["specialty"].cast(pl.String) == level).fill_null(False))))
    if "practice_size" in given:
        trait = Trait("practice_size", catalogue["practice_size"].labels, "in large", "in small", "practices")
        found.append((trait, np.log1p(_numbers(first["practice_size"]))))
    return found


def _by_channel(rows: pl.DataFrame, given: list[str], catalogue: Catalogue, channels: Sequence[str]) -> _Found:
    found: _Found = []
    for channel in sorted(channels):
        many = _MANY.get(channel, f"{channel.replace('_', ' ')}s")
        stock, engaged, judged = f"touches_stock_{channel}", f"touches_engaged_{channel}", f"touches_judged_{channel}"
        if {engaged, judged} <= set(given):
            taken, told = _sum(rows, engaged), _sum(rows, judged)
            usual = taken.sum() / max(float(told.sum()), 1.0)
            rate = (taken + _USUAL_TOUCHES * usual) / (told + _USUAL_TOUCHES)
            labels = catalogue[engaged].labels | catalogue[judged].labels
            found.append((Trait(f"takes up {channel}", labels, "often take up", "seldom take up", many), rate))
        if stock in given:
            found.append((Trait(f"gets {channel}", catalogue[stock].labels, "get many", "get few", many), np.log1p(_sum(rows, stock))))
    return found


def _by_product(rows: pl.DataFrame, given: list[str], catalogue: Catalogue, hcps: pl.Series) -> _Found:
    found: _Found = []
    for product in rows["product"].unique().sort():
        of = hcps.to_frame().join(rows.filter(product=product), on="hcp_id", how="left", maintain_order="left")
        if "rx_mean_13" in given:
            trait = Trait(f"prescribes {product}", catalogue["rx_mean_13"].labels, "prescribe much", "prescribe little", product)
            found.append((trait, np.log1p(np.maximum(_numbers(of["rx_mean_13"]), 0.0))))
        for level in _levels(of["formulary_tier"]) if "formulary_tier" in given else ():
            trait = Trait(f"place of {product}={level}", catalogue["formulary_tier"].labels, "work where", "", f"{product} is {level}")
            found.append((trait, _numbers((of["formulary_tier"].cast(pl.String) == level).fill_null(False))))
    return found


def _levels(column: pl.Series) -> list[str]:
    """The texts that enough people have to make a segment of."""
    counts = column.drop_nulls().cast(pl.String).rename("level").value_counts()
    return counts.filter(pl.col("count") >= FEWEST)["level"].sort().to_list()


def _sum(rows: pl.DataFrame, name: str) -> Floats:
    """The sum over products: of whole or small numbers, in order of products."""
    return rows.group_by("hcp_id", maintain_order=True).agg(pl.col(name).cast(pl.Float64).fill_null(0.0).fill_nan(0.0).sum())[name].to_numpy()


def _numbers(column: pl.Series) -> Floats:
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy().astype(np.float64)
