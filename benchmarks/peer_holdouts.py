"""What a holdout finds of what promotion to everybody changes where peers pass it on, in the world with a network, by what is drawn."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from benchmarks.report import Row
from remit.outcomes import between, enrol
from remit.runtime.countries import open_world
from remit.runtime.enrolment import ENROLMENT, known_ties, units
from remit.runtime.shelf import Shelf
from remit.terms.encoding import MICRO
from remit.worlds import World

SHARE = 0.2
DRAWN = ("hcp", "practice", "peers")


def measure(quick: bool) -> list[Row]:
    """One row for each unit: the share of the effect found by seed, and that of ties which join the sides."""
    physicians, seeds, weeks, draws = (600, 1, 8, 2) if quick else (3_000, 3, 26, 4)
    by_seed = [found(physicians, seed, weeks, draws, DRAWN) for seed in range(seeds)]
    work = f"a holdout of {SHARE:.0%} in the world `peers`, {physicians:,} physicians, {weeks} weeks, {draws} draws, {seeds} seeds: share of the effect found"
    rows = []
    for by in DRAWN:
        shares, ties = ", ".join(f"{seed[by][0]:.2f}" for seed in by_seed), np.mean([seed[by][1] for seed in by_seed])
        rows.append(Row(f"{work}, by {by}", "reported", shares, f"{ties:.0%} of ties join the sides", None))
    return rows


def found(physicians: int, seed: int, weeks: int, draws: int, drawn: Sequence[str]) -> dict[str, tuple[float, float]]:
    """By unit, on the mean of `draws` draws: the difference between the acted on and the held as a share of what promotion to everybody would change, and the
    share of ties between them.

    The call plan goes on for whoever is not held. In expected prescriptions, less what would have been written without promotion, so that nothing but what
    peers pass on keeps the first from 1."""
    start = World.build(open_world("peers"), physicians, seed)
    shelf = Shelf("UTC")
    shelf.add(start.opening(), start.now)
    hcp, tied, place, ids = shelf.state("hcp", start.now), known_ties(shelf, start.now), start.description.own[0], start.people.ids

    def lived(held: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        world = start.copy()
        return np.mean([world.step(world.plan().filter(~pl.col("hcp_id").is_in(held.implode()))).expected[:, place] for _ in range(weeks)], axis=0)

    quiet = lived(ids)
    whole, answer = float((lived(ids.clear()) - quiet).mean()), {}
    for by in drawn:
        members = units(hcp, by, lambda: tied, pl.DataFrame(schema=ENROLMENT), start.now)
        each = members.select("unit", "stratum").unique("unit")
        parts = []
        for number in range(draws):
            sides = members.join(enrol(each, round(SHARE * MICRO), bytes([number]) * 32, "first").select("unit", "held"), on="unit", how="inner")
            held = sides.filter("held")["hcp_id"]
            left, gain = ids.is_in(held.implode()).to_numpy(), lived(held) - quiet
            parts.append(((gain[~left].mean() - gain[left].mean()) / whole, between(tied, sides, "held") or 0.0))
        answer[by] = tuple(np.mean(parts, axis=0).tolist())
    return answer
