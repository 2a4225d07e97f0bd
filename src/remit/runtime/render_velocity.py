"""How long decisions wait, on the terminal."""

from typing import Any

from remit.runtime.printing import heading, line, table

_SAYS = {
    "arrive": "occurred to received",
    "propose": "received to proposed",
    "judge": "proposed to judged",
    "confirm": "judged to confirmed",
    "act": "decided to acted",
    "whole": "received to acted",
}
_ROUTES = {"cycle": "in a cycle", "proposal": "on a proposal", "event": "on an event"}
_OWNS = {"data": "data", "agent": "agent", "row": "row or table", "role": "role", "gateway": ""}
_UNITS = ((86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s"), (1_000, "ms"))


def velocity(result: dict[str, Any]) -> None:
    """The waits at each stage, over all and by agent."""
    if not result["decisions"]:
        line("Nothing was decided yet.")
        return
    heading(f"{result['decisions']} decisions to act")
    rows = [[_ROUTES[row["route"]], _SAYS[row["stage"]], *_waits(row)] for row in result["stages"]]
    table(["decided", "stage", "decisions", "median", "9 in 10 within", "longest"], rows)
    heading("By agent")
    rows = [[row["agent"], _ROUTES[row["route"]], _SAYS[row["stage"]], _owner(row), *_waits(row)] for row in result["agents"]]
    table(["agent", "decided", "stage", "who owns it", "decisions", "median", "9 in 10 within", "longest"], rows)
    if result["too_few"]:
        line(f"{result['too_few']} groups of fewer than {result['least']} decisions, whose stage one person owns, are not shown.")


def _waits(row: dict[str, Any]) -> list[Any]:
    return [row["count"], *(_span(row[name]) for name in ("median_us", "p90_us", "largest_us"))]


def _owner(row: dict[str, Any]) -> str:
    return " ".join(filter(None, [_OWNS.get(row["owner_is"] or "", ""), row["owner"] or ""]))


def _span(microseconds: int) -> str:
    return next((f"{microseconds / size:.1f} {unit}" for size, unit in _UNITS if microseconds >= size), f"{microseconds} us")
