"""Pages: one HTML file each that needs nothing else. Here what they share, and the page of a simulation."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from remit.runtime.charts import bars, lines

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:820px;margin:2rem auto;padding:0 1rem;color:#1c1c1c;background:#fff}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.2rem;margin-top:2.2rem}svg{width:100%;height:auto;font:13px system-ui,sans-serif}
h3{font-size:1rem;margin:1.4rem 0 .2rem}.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}.quiet{color:#555}
@media(min-width:561px){td:first-child{white-space:nowrap}}
@media(max-width:560px){svg.looks{font-size:22px}th,td{padding:.3rem .35rem}}
@media(prefers-color-scheme:dark){body{background:#16181c;color:#e8e8e8}th,td{border-color:#444}svg text:not([fill]){fill:#e8e8e8}.quiet{color:#aaa}}
"""


_HOW = "Net value is what a policy adds to the same weeks without any action, in expectation, less what its touches cost; intervals are 90%."


def page(result: Mapping[str, Any]) -> str:
    """The HTML of what `simulate` returns."""
    currency, rows = result["currency"], result["policies"]
    title = f"{result['says']}: {result['weeks']} weeks, {result['physicians']:,} physicians"
    seeds = f"{result['seeds']} seeds" if result["seeds"] > 1 else "one seed, so no intervals"
    worst = [f"{row['policy']}: {', '.join(f'{rule} ({times})' for rule, times in row['violations'].items())}" for row in rows if row["violations"]]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="quiet">World {escape(result["world"])}, {seeds}. {_HOW}</p>',
        *_sentences(result),
        f"<h2>Net value against doing nothing ({currency})</h2>",
        bars([(row["policy"], *_money(row["net_minor"])) for row in rows], "Net value by policy"),
        f"<h2>How it grows, week by week ({currency})</h2>",
        lines({row["policy"]: [value / 100 for value in row["by_week_minor"]] for row in rows}, "Cumulative net value by week and policy", "weeks"),
        "<h2>What was done</h2>",
        table(
            ["policy", "outcome units", "contacts per physician", "under too much pressure", "rules broken", "value left against the oracle"],
            [
                [
                    row["policy"],
                    f"{row['units']['mean']:,.0f}",
                    f"{row['contacts_per_physician']:.2f}",
                    f"{row['overload']:.2%}",
                    f"{sum(row['violations'].values()):,}",
                    f"{row['left_minor']['mean'] / 100:,.0f}" if "left_minor" in row else "",
                ]
                for row in rows
            ],
        ),
        *([f'<p class="quiet">Rules broken: {escape("; ".join(worst))}.</p>'] if worst else []),
        *[f"<p>{escape(said)}</p>" for row in rows if "models" in row for said in row["models"]["says"]],
        *_who(rows, currency),
    ]
    return document(title, parts)


def document(title: str, parts: Iterable[str]) -> str:
    """A whole page of `parts`, which are HTML."""
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def _sentences(result: Mapping[str, Any]) -> list[str]:
    """What a reader wants to know first."""
    remit = next((row for row in result["policies"] if row["policy"] == "remit"), None)
    if remit is None:
        return []
    said = []
    if remit.get("of_oracle") is not None:
        said.append(f"Remit reaches {remit['of_oracle']:.0%} of what the true response, known in advance, would have given.")
    over = remit.get("over_greedy_minor")
    if over is not None:
        between = f" (90% interval {over['low'] / 100:,.0f} to {over['high'] / 100:,.0f})" if over["low"] is not None else ""
        said.append(f"{'It' if said else 'Remit'} is {over['mean'] / 100:,.0f} {result['currency']} above greedy{between}.")
    return [f"<p>{escape(' '.join(said))}</p>"] if said else []


def _who(rows: list[dict[str, Any]], currency: str) -> list[str]:
    """Who was served: contacts per physician of each group, policy by policy."""
    acting = [row for row in rows if row["contacts"] > 0]
    parts = ["<h2>Who was served</h2>", '<p class="quiet">Contacts per physician; in brackets the net value per physician.</p>'] if acting else []
    for kind in ("volume", "specialty", "population"):
        groups = [each["group"] for each in acting[0]["served"] if each["by"] == kind] if acting else []
        lines_ = []
        for group in groups:
            found = [next(each for each in row["served"] if each["by"] == kind and each["group"] == group) for row in acting]
            lines_.append([group, *(f"{each['contacts']:.1f} ({each['net_minor'] / 100:,.0f})" for each in found)])
        if lines_:
            parts.append(table([f"by {kind} ({currency})", *(row["policy"] for row in acting)], lines_))
    return parts


def _money(value: Mapping[str, float | None]) -> tuple[float, float | None, float | None]:
    mean, low, high = (None if value[name] is None else value[name] / 100 for name in ("mean", "low", "high"))  # type: ignore[operator]  # None was asked for
    return mean or 0.0, low, high


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts; one that is too wide is scrolled by itself."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
