"""What peers did as features of the lead score, in the world with a network: the held-out deviance they save, and what ties drawn by lot save."""

import numpy as np
import polars as pl

from benchmarks.report import Row
from remit.features import Catalogue, Column, build, of_peers, ties, training_frame
from remit.models.estimators import lead_score
from remit.models.inputs import hidden_rows
from remit.runtime.countries import open_world
from remit.runtime.inputs import READ
from remit.runtime.simulating import burn_in
from remit.runtime.training import feature_catalogue
from remit.runtime.training import instants as learned_from
from remit.terms.encoding import MICRO
from remit.terms.labels import Label

NAMES = ("peers_wrote", "peers_growth")
T_90 = {1: 6.314, 2: 2.920, 3: 2.353, 4: 2.132}
"""Student's 95% points by degrees of freedom."""


def measure(quick: bool) -> list[Row]:
    """One row: the share of the held-out deviance saved, over worlds that differ by seed."""
    seeds, physicians = (2, 500) if quick else (5, 2_000)
    found = np.array([_saved(physicians, seed) for seed in range(1, seeds + 1)])
    reach = T_90[seeds - 1] * found.std(axis=0, ddof=1) / np.sqrt(seeds)
    own, by_lot = (f"{mean:+.3%} [{mean - wide:+.3%}, {mean + wide:+.3%}]" for mean, wide in zip(found.mean(axis=0), reach, strict=True))
    work = f"peers' prescribing in the lead score, world `peers`, {physicians:,} physicians, {seeds} seeds: held-out deviance saved (90% interval)"
    return [Row(work, "reported", own, f"{by_lot} with ties drawn by lot", None)]


def _saved(physicians: int, seed: int) -> tuple[float, float]:
    company = burn_in(open_world("peers"), physicians, seed, 0).company
    settings, shelf, now = company.config.settings, company.shelf, company.world.now
    catalogue, instants = feature_catalogue(settings), learned_from(settings, now)[::2]

    def known(at: int) -> dict[str, pl.DataFrame]:
        return {name: shelf.read(name, at) for name in READ}

    frame = training_frame(known, instants, now, catalogue, zone=settings.zone)
    lots = np.random.default_rng(seed)
    parts: list[pl.DataFrame] = []
    for instant in instants:
        everybody, tied = build(known(instant), instant, catalogue, zone=settings.zone), ties(shelf.read("peers", instant), instant)
        drawn = tied.with_columns(target=pl.Series(lots.permutation(tied["target"].to_numpy())))
        by_lot = of_peers(everybody, drawn).select(pl.col(name).alias(f"lot_{name}") for name in NAMES)
        parts.append(pl.concat([of_peers(everybody, tied), by_lot], how="horizontal").with_columns(instant=pl.lit(instant, pl.Int64)))
    rows = frame.join(pl.concat(parts), on=["instant", "hcp_id", "product"], how="left")
    rows = rows.filter(~hidden_rows(rows))
    cut = sorted(set(rows["instant"]))[2 * rows["instant"].n_unique() // 3]
    plain, own, by_lot = (_deviance(rows, cut, catalogue, names) for names in ((), NAMES, tuple(f"lot_{name}" for name in NAMES)))
    return 1 - own / plain, 1 - by_lot / plain


def _deviance(rows: pl.DataFrame, cut: int, catalogue: Catalogue, names: tuple[str, ...]) -> float:
    """The mean held-out deviance of a lead score that learned before `cut`, reading `names` beside the built-in features."""
    more = tuple(Column(name, catalogue.columns[0].feature, None, name, frozenset({Label.COMMERCIAL, Label.PDRP})) for name in names)
    wider = Catalogue((*catalogue.columns, *more), catalogue.channels)
    model, later = lead_score.train(rows.filter(pl.col("instant") < cut), wider, seed=1, threads=1), rows.filter(pl.col("instant") >= cut)
    expected = model.predict(later, threads=1)["lead_score"].to_numpy() / MICRO
    return float(lead_score.deviance(later["outcome"].to_numpy(), expected).mean())
