"""`remit portfolio compare` of 40 agents over 50,000 physicians: what each would do alone, all together, and what each displaces of each other."""

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import Row
from remit.runtime.countries import company_texts
from remit.runtime.living import create_world
from remit.worlds import read_world

PHYSICIANS, AGENTS = 50_000, 40
PRODUCTS = ("alpha", "beta", "gamma", "delta")
COSTS = (1.0, 0.7, 1.3, 0.5, 1.6)
"""What the variants of a planner take a contact to cost, against what it costs."""

COMPANY = """
name: pilots
says: Four brands and forty pilots
market: {country: US, currency: USD, zones: [America/New_York]}
physicians: {count: 2000, volume: 3.0, volume_spread: 1.0}
history_weeks: 26
specialties:
  family medicine: {share: 0.5, response: 0.7}
  cardiology: {share: 0.3, volume: 1.2, response: 1.2}
  endocrinology: {share: 0.2, volume: 1.5, response: 1.6}
populations:
  mixed: {share: 1.0}
products:
  alpha: {own: true, basket: heart, share: 0.3, value_minor: 6000}
  beta: {own: true, basket: heart, share: 0.2, value_minor: 9000}
  rival: {basket: heart, share: 0.5}
  gamma: {own: true, basket: sugar, share: 0.3, value_minor: 7000}
  delta: {own: true, basket: sugar, share: 0.2, value_minor: 8000}
  other: {basket: sugar, share: 0.5}
channels:
  call: {effect: 0.4, spread: 0.8, none: 0.3, saturation: 2.0, carry_over: 0.8, shown: 1.0, cost_minor: 2000, consent: {opt_in: 0.5, opt_out: 0.05}}
  email: {effect: 0.15, spread: 0.8, none: 0.4, saturation: 2.0, carry_over: 0.65, shown: 1.0, cost_minor: 40, consent: {opt_in: 0.7, opt_out: 0.1}}
forces:
  primary: {channel: call, products: [alpha, beta, gamma, delta], physicians_each: 150, visits_a_week: 40}
  heart: {channel: call, products: [alpha, beta], specialties: [cardiology], physicians_each: 150, visits_a_week: 40}
  medical: {channel: msl_visit, products: [alpha, beta, gamma, delta], physicians_each: 1000, visits_a_week: 20, exclusive: false}
promotion: {plan_by_volume: 1.0, topics: {efficacy: 1.0, dosing: 0.9}, sends_per_physician: 0.5}
reports: {weeks_late: {1: 0.8, 2: 0.2}, covered: 1.0}
"""


def measure(quick: bool) -> list[Row]:
    """One cycle of all agents is run, which loads the history and trains; then it is compared."""
    physicians = PHYSICIANS // 25 if quick else PHYSICIANS
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "pilots"
        make(root, physicians)
        ran, _ = _timed("run", "-w", root)
        cycle = json.loads(ran)
        out, seconds = _timed("portfolio", "compare", "-w", root, "--page", Path(folder) / "page.html")
        peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    result = json.loads(out)
    promotion = next(each for each in result["purposes"] if each["purpose"] == "promotional")
    before, after = result["contacts"]["before"], result["contacts"]["after"]
    share = promotion["together"]["value"] / max(promotion["alone"]["value"], 1)
    told = f"{seconds:.0f} s, at most {peak_gb:.1f} GB in the cycle or the comparison; contacts of an HCP at most {before['most']} alone, {after['most']} together; "
    told += f"{before['over']:,} HCPs above the {result['per_cycle']} allowed alone, {after['over']:,} together; together {share:.0%} of what each alone would claim"
    work = f"`remit portfolio compare`, {len(result['agents'])} agents, {physicians:,} HCPs, {cycle['decisions']:,} proposals"
    return [Row(work, "reported", told, f"the cycle itself, which loads the history and trains: {sum(cycle['seconds'].values()):.0f} s", None)]


def make(root: Path, physicians: int) -> None:
    """A workspace of `AGENTS` agents: of each product call planners and e-mail agents that differ in what they take a contact to cost and how often they
    contact, and a medical one; each may act by itself."""
    description = root.with_suffix(".yaml")
    description.write_text(COMPANY)
    create_world(root, str(description), physicians)
    texts = company_texts(read_world(COMPANY, "pilots"), 1)
    for path in (root / "agents").glob("*.yaml"):
        path.unlink()
    rows = []
    for product in PRODUCTS:
        for number, cost in enumerate(COSTS):
            for kind, text in (("calls", texts[f"agents/calls-{product}.yaml"]), ("email", texts["agents/email.yaml"])):
                if kind == "calls" or number < len(COSTS) - 1:
                    rows.append(_agent(root, text, f"{kind}-{product}-{number}", product, cost, 1 + number % 2))
        rows.append(_agent(root, texts["agents/msl.yaml"], f"msl-{product}", product, 1.0, 1))
    table = root / "authority.yaml"
    kept = re.split(r"\n  - id: calls-alpha-calls\n", table.read_text())[0]
    table.write_text(kept + "".join(rows))


def _agent(root: Path, text: str, name: str, product: str, cost: float, most: int) -> str:
    """Writes the agent's charter, and returns its row of the table."""
    text = re.sub(r"agent: .*", f"agent: {name}", text, count=1)
    text = re.sub(r"products: .*", f"products: [{product}]", text)
    text = re.sub(r"most_per_hcp: .*", f"most_per_hcp: {most}", text)
    text = re.sub(r"cost_minor: (\d+)", lambda found: f"cost_minor: {round(int(found[1]) * cost)}", text)
    (root / "agents" / f"{name}.yaml").write_text(text)
    owner = re.search(r"owner: (.*)", text)
    assert owner is not None  # noqa: S101 - every charter names one
    row = {"when": f"agent = '{name}' AND product = '{product}'", "verdict": "autonomous", "owner": owner[1], "reason": "A pilot may act on its product."}
    return f"\n  - id: {name}-acts\n" + "".join(f"    {key}: {value}\n" for key, value in row.items())


def _timed(*arguments: Any) -> tuple[str, float]:
    start = time.perf_counter()
    ran = subprocess.run([sys.executable, "-m", "remit.runtime", *map(str, arguments), "--json"], stdout=subprocess.PIPE, text=True, check=True)
    return ran.stdout, time.perf_counter() - start
