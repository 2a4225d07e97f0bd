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
UNIVERSES = ("", "", "family medicine", "cardiology", "endocrinology")
"""The specialty that a variant of a planner may act on; none: all of them. The second that is for all may contact twice."""
COSTS = (100, 90, 80, 110, 70)
"""What each variant takes a contact to cost, in hundredths of what it costs."""

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
        ran, _, _ = _timed("run", "-w", root)
        cycle = json.loads(ran)
        out, seconds, processor = _timed("portfolio", "compare", "-w", root, "--page", Path(folder) / "page.html")
        peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    result = json.loads(out)
    promotion = next(each for each in result["purposes"] if each["purpose"] == "promotional")
    before, after = result["contacts"]["before"], result["contacts"]["after"]
    share = promotion["together"]["value"] / max(promotion["alone"]["value"], 1)
    told = f"{seconds:.0f} s ({processor:.0f} s of processor time), at most {peak_gb:.1f} GB in the cycle or the comparison; contacts of an HCP at most "
    told += (
        f"{before['most']} alone, {after['most']} together; {before['over']:,} HCPs above the {result['per_cycle']} allowed alone, {after['over']:,} together; "
    )
    told += f"together {share:.0%} of what each alone would claim"
    work = f"`remit portfolio compare`, {len(result['agents'])} agents, {physicians:,} HCPs, {cycle['decisions']:,} proposals"
    return [Row(work, "reported", told, f"the cycle itself, which loads the history and trains: {sum(cycle['seconds'].values()):.0f} s", None)]


def make(root: Path, physicians: int) -> None:
    """A workspace of `AGENTS` agents: of each product call planners and e-mail agents for all physicians and for one specialty each, which differ in what they
    take a contact to cost, and a medical one; each may act by itself on its product and universe."""
    description = root.with_suffix(".yaml")
    description.write_text(COMPANY)
    create_world(root, str(description), physicians)
    texts = company_texts(read_world(COMPANY, "pilots"), 1)
    for path in (root / "agents").glob("*.yaml"):
        path.unlink()
    rows = []
    for product in PRODUCTS:
        for number in range(len(UNIVERSES)):
            rows.append(_agent(root, texts[f"agents/calls-{product}.yaml"], f"calls-{product}-{number}", product, number, 1 + (number == 1)))
            if number != 1:
                rows.append(_agent(root, texts["agents/email.yaml"], f"email-{product}-{number}", product, number, 1))
        rows.append(_agent(root, texts["agents/msl.yaml"], f"msl-{product}", product, 0, 1))
    table = root / "authority.yaml"
    kept, found, _ = table.read_text().partition("\n  - id: calls-alpha-calls\n")
    assert found  # noqa: S101 - the table of a world of ours
    table.write_text(kept + "".join(rows))


def _agent(root: Path, text: str, name: str, product: str, number: int, most: int) -> str:
    """Writes the agent's charter, and returns its row of the table."""
    text = re.sub(r"agent: .*", f"agent: {name}", text, count=1)
    text = re.sub(r"products: .*", f"products: [{product}]", text)
    text = re.sub(r"most_per_hcp: .*", f"most_per_hcp: {most}", text)
    text = re.sub(r"cost_minor: (\d+)", lambda found: f"cost_minor: {int(found[1]) * COSTS[number] // 100}", text)
    (root / "agents" / f"{name}.yaml").write_text(text)
    owner = re.search(r"owner: (.*)", text)
    assert owner is not None  # noqa: S101 - every charter names one
    specialty = UNIVERSES[number]
    when = f"agent = '{name}' AND product = '{product}'" + (f" AND specialty = '{specialty}'" if specialty else "")
    row = {"when": when, "verdict": "autonomous", "owner": owner[1], "reason": "A pilot may act on its product and universe."}
    return f"\n  - id: {name}-acts\n" + "".join(f"    {key}: {value}\n" for key, value in row.items())


def _timed(*arguments: Any) -> tuple[str, float, float]:
    """What a command prints, and its wall and processor time in seconds."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run([sys.executable, "-m", "remit.runtime", *map(str, arguments), "--json"], stdout=subprocess.PIPE, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ran.stdout, time.perf_counter() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
