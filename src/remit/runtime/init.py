"""`remit init`: a workspace from an example."""

import shutil
from collections.abc import Callable, Mapping
from importlib.resources import as_file, files
from pathlib import Path

import polars as pl

from remit.runtime.errors import WorkspaceError
from remit.worlds import two_brands

_MARKET_START = "2001-01-01T00:00:00Z"
_PLAN_MONTH = ("2003-12-01T00:00:00Z", "2004-01-01T00:00:00Z")
_LAST_MONTH = 23
_VALUE_MINOR = 10_000


def create(folder: Path, example: str, data: Path | None, physicians: int) -> None:
    """Makes the workspace `folder` from an example. Raises `WorkspaceError` if the folder is in use, the example unknown, or its data are missing."""
    if example not in EXAMPLES:
        raise WorkspaceError(f"there is no example `{example}`", do=f"The examples are {' and '.join(EXAMPLES)}.")
    check_empty(folder)
    fill = EXAMPLES[example]
    check_data(example, data)
    with as_file(files("remit.runtime") / "examples" / example) as source:
        shutil.copytree(source, folder, dirs_exist_ok=True)
    if example == "two-brands":
        with as_file(files("remit.runtime") / "packs" / "us.yaml") as pack:
            (folder / "packs").mkdir()
            shutil.copy(pack, folder / "packs")
    fill(folder, data, physicians)


def check_empty(folder: Path) -> None:
    """Raises `WorkspaceError` unless the folder is absent or empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WorkspaceError("the folder is not empty", where=str(folder), do="Name another one, or remove it first.")


def check_data(example: str, data: Path | None) -> None:
    """Raises `WorkspaceError` unless `detailing` is given its two files, and no other example is given data."""
    if example != "detailing":
        if data is not None:
            raise WorkspaceError(f"`{example}` generates its own data", where=f"--data {data}", do="Leave --data out.")
        return
    if data is None:
        raise WorkspaceError("`detailing` needs its data", do="Say where counts.csv and physicians.csv are: --data PATH.")
    missing = [f"`{name}` is missing" for name in ("counts.csv", "physicians.csv") if not (data / name).is_file()]
    if missing:
        raise WorkspaceError("the data are not there", where=str(data), do="Give the folder that holds both files.", faults=missing)


def _two_brands(folder: Path, data: Path | None, physicians: int) -> None:
    del data
    for delivery in two_brands(physicians, 20260105):
        target = folder / "feeds" / delivery.feed / f"{delivery.name}.csv"
        target.parent.mkdir(parents=True, exist_ok=True)
        delivery.rows.write_csv(target)


def _detailing(folder: Path, data: Path | None, physicians: int) -> None:
    """The real set as it is, and beside it what it lacks: consent to calls, one territory, the value of a prescription, next month's calls.

    The stated call capacity is the last month's total, so that the plan redistributes what was done.
    """
    del physicians
    assert data is not None  # noqa: S101 - `check_data` has refused it
    target = folder / "feeds" / "detailing"
    target.mkdir(parents=True, exist_ok=True)
    for name in ("counts.csv", "physicians.csv"):
        shutil.copyfile(data / name, target / name)
    ids = pl.read_csv(data / "physicians.csv", columns=["id"])["id"].cast(pl.String).str.zfill(4)
    hcps = pl.DataFrame({"hcp_id": "D" + ids})
    counts = pl.read_csv(data / "counts.csv", columns=["month", "detailing"])
    calls = int(counts.filter(pl.col("month") == _LAST_MONTH)["detailing"].sum())
    always = {"valid_from": pl.lit(_MARKET_START), "valid_to": pl.lit(None, pl.String), "received_at": pl.lit(_MARKET_START)}
    aligned = {"rep_id": "rep-0001", "territory": "T001", "sales_force": "field", "product": "detailed", "exclusive": "true"}
    product = {
        "product": "detailed",
        "brand": "detailed",
        "basket": "detailed",
        "own": "true",
        "outcome": "trx",
        "value_minor": _VALUE_MINOR,
        "currency": "USD",
    }
    capacity = {
        "resource": "calls/T001",
        "unit": "call",
        "capacity": calls,
        "valid_from": _PLAN_MONTH[0],
        "valid_to": _PLAN_MONTH[1],
        "received_at": _MARKET_START,
    }
    assumed: Mapping[str, pl.DataFrame] = {
        "consent": hcps.with_columns(channel=pl.lit("call"), purpose=pl.lit("promotional"), status=pl.lit("opt_in"), **always),
        "alignments": hcps.with_columns(**{name: pl.lit(value) for name, value in aligned.items()}, **always),
        "products": pl.DataFrame([product]).with_columns(**always),
        "resources": pl.DataFrame([capacity]),
    }
    for feed, rows in assumed.items():
        path = folder / "feeds" / feed / "assumed.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows.write_csv(path)
        (path.parent / "feed.toml").write_text('# Not in the data set: assumed by this example, and yours to change.\nsource = "assumed"\n')


EXAMPLES: Mapping[str, Callable[[Path, Path | None, int], None]] = {"two-brands": _two_brands, "detailing": _detailing}
"""The examples, by name."""
