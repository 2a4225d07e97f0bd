"""Micro-segments beside lists by specialty and decile: how much of the true response of physicians in worlds each tells, and what is learned by each; how
many stay from week to week; and the time for 100,000 physicians. Worlds differ by seed; the two lists are compared in the same worlds."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.report import Row, seconds
from remit.features import FEATURES, Panel, catalogue
from remit.intake import TABLES, labels
from remit.models.levels import levels_of
from remit.models.panel_response import PanelResponse
from remit.models.segments import Segments, segment
from remit.models.weeks import Sample, Weeks, saturated
from remit.runtime.countries import bundled, open_world
from remit.runtime.inputs import observe
from remit.runtime.simulating import burn_in
from remit.runtime.training import feature_catalogue

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WORLDS = tuple(name for name in bundled() if name != "nothing")
CHANNELS = ("call", "email")
T_90 = {1: 6.314, 2: 2.920, 3: 2.353, 4: 2.132, 5: 2.015}
"""Student's 95% points by degrees of freedom."""


def measure(quick: bool) -> list[Row]:
    """A row per world, one of stability, one of time."""
    seeds, physicians = (2, 500) if quick else (5, 1_000)
    rows, stayed = [], []
    for world in WORLDS:
        runs = [_run(world, physicians, seed) for seed in range(1, seeds + 1)]
        stayed += [share for run in runs for share in run["stayed"]]
        rows.append(_row(world, physicians, runs))
    least = f"{min(stayed):.1%} in the worst of {len(stayed)} weeks, {np.mean(stayed):.1%} on average"
    rows.append(Row(f"segments, {physicians:,} physicians: share who stay from week to week", ">= 90%", least, "", min(stayed) >= 0.9))
    return [*rows, _sized(10_000 if quick else 100_000)]


def _row(world: str, physicians: int, runs: list[Mapping[str, list[float]]]) -> Row:
    told = {name: np.array([run[name] for run in runs]).mean(axis=0) for name in ("segments", "decile", "as many")}
    gap = np.array([run["segments"][0] - run["decile"][0] for run in runs])
    reach = T_90[len(runs) - 1] * gap.std(ddof=1) / np.sqrt(len(runs))
    learned = np.array([run["segments"][1] - run["decile"][1] for run in runs])
    learned_reach = T_90[len(runs) - 1] * learned.std(ddof=1) / np.sqrt(len(runs))
    measured = f"{told['segments'][0]:.1%} of the variance of true response told, {gap.mean():+.1%} [{gap.mean() - reach:+.1%}, {gap.mean() + reach:+.1%}]"
    beside = {"specialty x decile": told["decile"], "specialty x as many levels as give as many cells": told["as many"]}
    ahead = bool(gap.mean() > reach)
    if np.isfinite(learned).all():
        measured += f"; rank correlation of what is learned by segment with the truth {told['segments'][1]:.2f}, {learned.mean():+.2f} "
        measured += f"[{learned.mean() - learned_reach:+.2f}, {learned.mean() + learned_reach:+.2f}]"
        ahead = ahead and bool(learned.mean() > learned_reach)
        also = "; ".join(f"{name} {share:.1%}, {rank:.2f}" for name, (share, rank) in beside.items())
    else:
        measured += "; prescriptions are known of bricks alone, and nothing is learned by segment"
        also = "; ".join(f"{name} {share:.1%}" for name, (share, _) in beside.items())
    work = f"segments, world `{world}`, {physicians:,} physicians, {len(runs)} seeds (90% interval of the lead)"
    return Row(work, "above specialty x decile by interval", measured, also, None if len(runs) < 3 else ahead)


def _run(name: str, physicians: int, seed: int) -> dict[str, list[float]]:
    """Per partition the share of the true response's variance that it tells and the rank correlation of what is learned by it; and who stayed."""
    company = burn_in(open_world(name), physicians, seed, 0).company
    settings, world, shelf, models = company.config.settings, company.world, company.shelf, company.models
    if models is None or not isinstance(models.response, PanelResponse):
        raise ValueError(f"`{name}` trains no response over time")
    seen, names = observe(shelf, settings, world.now), feature_catalogue(settings)
    frame, data = seen.features, seen.panel()
    found = segment(frame, names, channels=CHANNELS, expected=models.increments(frame, lambda: data, 1))
    truth, members = world.responses(1, 13), found.placed(frame, names)
    volume = frame.group_by("hcp_id").agg(pl.col("specialty").first().fill_null(""), pl.col("rx_mean_13").sum()).sort("hcp_id")
    kinds = volume["specialty"].n_unique()
    partitions = {
        "segments": _codes(members["segment"]),
        "decile": _by_level(volume, 10),
        "as many": _by_level(volume, max(1, round(len(found.segments) / kinds))),
    }
    first = frame.unique("hcp_id", keep="first", maintain_order=True).sort("hcp_id")
    answer = {key: [_told(truth, cells), _learned(truth, cells, models.response, data, first)] for key, cells in partitions.items()}
    stayed = []
    for _ in range(4):
        shelf.add(world.step(world.plan()).deliveries, world.now)
        frame = observe(shelf, settings, world.now).features
        found = segment(frame, names, channels=CHANNELS, previous=found, before=members)
        members = found.placed(frame, names, members)
        stayed.append(float(found.facts["share_stayed"]))
    return {**answer, "stayed": stayed}


def _codes(column: pl.Series) -> Ints:
    return column.rank("dense").to_numpy().astype(np.int64) - 1


def _by_level(volume: pl.DataFrame, parts: int) -> Ints:
    level = volume["rx_mean_13"].rank("ordinal") * parts // (volume.height + 1)
    return _codes(volume.select(pl.format("{}/{}", "specialty", level)).to_series())


def _told(truth: pl.DataFrame, cells: Ints) -> float:
    """The adjusted share of the variance between cells (R2 corrected for their number), averaged over products and channels."""
    shares = []
    for _, rows in truth.group_by("product", "channel", maintain_order=True):
        own = rows.sort("hcp_id")["increment"].to_numpy().astype(np.float64)
        mean = np.bincount(cells, weights=own) / np.bincount(cells)
        shares.append(1 - ((own - mean[cells]) ** 2).sum() / (len(own) - len(mean)) / own.var(ddof=1))
    return float(np.mean(shares))


def _learned(truth: pl.DataFrame, cells: Ints, model: PanelResponse, data: Panel, first: pl.DataFrame) -> float:
    """How the response that is learned of each cell from the panel orders the truth, averaged over products and channels; not a number where outcomes are known
    of bricks alone."""
    if not np.isfinite(data.outcome).any():
        return float("nan")
    found = []
    seen, group = ~data.pdrp, _codes(first["specialty"].fill_null(""))
    for entry in model.learned:
        place = data.products.index(entry.product)
        outcome = data.outcome[seen, place]
        levels = levels_of(outcome, np.ones_like(outcome), group[seen], int(group.max()) + 1, 0.0)
        sample = Sample(outcome, levels.base[:, None] * np.maximum(levels.growth, 1e-3), _codes(pl.Series(group[seen])))
        touches = [data.touches[data.channels.index(channel), seen, place] for channel in entry.shapes]
        stocks = [saturated(each, *shape, model.period_days) for each, shape in zip(touches, entry.shapes.values(), strict=True)]
        effects = _shrunk(Weeks(sample, stocks), cells[seen], int(cells.max()) + 1) if stocks else np.zeros((0, 0))
        base = levels.usual[group]
        base[seen] = levels.base
        mean = np.bincount(cells, weights=base) / np.bincount(cells)
        for channel in sorted(set(CHANNELS) & set(truth["channel"].unique())):
            own = truth.filter(product=entry.product, channel=channel).sort("hcp_id")["increment"]
            effect = effects[:, list(entry.shapes).index(channel)] if channel in entry.shapes else np.zeros(len(mean))
            found.append(_rank_correlation(own, pl.Series((np.maximum(effect, 0.0) * mean)[cells])))
    return float(np.mean(found))


def _shrunk(weeks: Weeks, cells: Ints, count: int) -> Floats:
    """Each cell's effects, drawn to the common ones as far as cells differ no more than chance explains (empirical Bayes, by expectation-maximisation)."""
    width = weeks.b.shape[1]
    information, score = np.zeros((count, width, width)), np.zeros((count, width))
    np.add.at(information, cells, weeks.a / weeks.noise)
    np.add.at(score, cells, weeks.b / weeks.noise)
    common, spread = weeks.common()[0], np.full(width, 0.05)
    mean = np.tile(common, (count, 1))
    for _ in range(50):
        covariance = np.linalg.inv(information + np.diag(1 / spread))
        mean = np.einsum("cij,cj->ci", covariance, score + common / spread)
        spread = np.maximum(((mean - common) ** 2 + np.einsum("cii->ci", covariance)).mean(axis=0), 1e-5)
    return mean


def _rank_correlation(left: pl.Series, right: pl.Series) -> float:
    """Spearman's; 0 where one of them is constant."""
    if left.n_unique() < 2 or right.n_unique() < 2:
        return 0.0
    return float(np.corrcoef(left.rank().to_numpy(), right.rank().to_numpy())[0, 1])


def _sized(physicians: int) -> Row:
    """Made-up features of as many, alike in nothing; first segments, and those of the week after."""
    contracts = {f"{name}.{column}": label for name, table in TABLES.items() for column, label in labels(table.contract.schema).items()}
    names = catalogue(FEATURES, contracts, CHANNELS)
    frame, after = _frame(physicians, names.columns, 1), _frame(physicians, names.columns, 2)
    found: list[Segments] = []
    took = seconds(lambda: found.append(segment(frame, names)))
    members = found[0].placed(frame, names)
    placing = seconds(lambda: found[0].placed(after, names, members))
    again = seconds(lambda: found.append(segment(after, names, previous=found[0], before=members)))
    told = f"{took:.1f} s for {len(found[0].segments):,} segments; in the week after {placing:.1f} s to place everybody, {again:.1f} s to go on with the rules"
    return Row(f"segments, {physicians:,} physicians", "reported", told, "", None)


def _frame(physicians: int, columns: tuple[object, ...], seed: int) -> pl.DataFrame:
    draw, noise = np.random.default_rng(1), np.random.default_rng(seed)
    texts = {"specialty": ["cardiology", "nephrology", "family medicine"], "formulary_tier": ["preferred", "covered"]}
    values: dict[str, object] = {"hcp_id": [f"H{number:07}" for number in range(physicians)], "product": ["alpha"] * physicians, "pdrp": [False] * physicians}
    for name in (str(column.name) for column in columns):  # type: ignore[attr-defined]  # a catalogue's column
        if name in texts:
            values[name] = pl.Series(texts[name])[draw.integers(0, len(texts[name]), physicians)]
        else:
            values[name] = draw.gamma(2.0, 1.0, physicians) * np.exp(0.05 * noise.standard_normal(physicians))
    return pl.DataFrame(values)
