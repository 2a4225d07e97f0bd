"""What a company in a world has written: settings, people, decision rights and charters, made from the world's description."""

from importlib.resources import files
from pathlib import Path

from remit.runtime.errors import WorkspaceError
from remit.worlds import Description, read_world

_BY_THEMSELVES = "  # By themselves\n"
"""Where the rows of the shared table end that speak of no agent in particular."""

_YEARS = "2036-12-31T00:00:00Z"


def bundled() -> tuple[str, ...]:
    """The names of the worlds that come with Remit."""
    return tuple(sorted(path.name.removesuffix(".yaml") for path in (files("remit.worlds") / "bundled").iterdir() if path.name.endswith(".yaml")))


def world_text(name: str) -> str:
    """The description of a bundled world, or the text of a file. Raises `WorkspaceError` if there is neither."""
    if name in bundled():
        return (files("remit.worlds") / "bundled" / f"{name}.yaml").read_text("utf-8")
    path = Path(name)
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        do = f"The bundled worlds are {', '.join(bundled())}; or name a file."
        raise WorkspaceError(f"there is no world `{name}`: {getattr(error, 'strerror', None) or error}", do=do) from None


def open_world(name: str) -> Description:
    """The description of a bundled world or of a file. Raises `WorldError` with every fault."""
    return read_world(world_text(name), name)


def company_texts(world: Description, seed: int) -> dict[str, str]:
    """The texts of a workspace for a world, by name: every figure may be changed in them."""
    own = [world.products[place].name for place in world.own]
    agents = {f"agents/{name}.yaml": text for name, text in _charters(world, own).items()}
    invariants = (files("remit.runtime") / "examples" / "two-brands" / "invariants.yaml").read_text("utf-8")
    return {"remit.toml": _settings(world, seed), "people.yaml": _people(own), "authority.yaml": _table(world, own), "invariants.yaml": invariants, **agents}


def _settings(world: Description, seed: int) -> str:
    calls = [force.name for force in world.forces if force.channel == "call"]
    visits = [force.name for force in world.forces if force.channel == "msl_visit"]
    template = (files("remit.runtime") / "examples" / "world" / "remit.toml").read_text("utf-8")
    names = {"NAME": world.name, "CURRENCY": world.currency, "SEED": str(seed), "SETTLE": f"{max(world.reports.late) + 1} weeks"}
    share, names["BY"] = ("0.2", "brick") if world.reports.level == "brick" else ("0.1", "hcp")
    names |= {"SHARE": share, "ALONE": ", ".join(f"{channel.name} = {share}" for channel in world.channels)}
    for key, value in names.items():
        template = template.replace(f"<{key}>", value)
    parts = [template]
    if any(channel.name == "call" for channel in world.channels):
        parts.append(_channel("call", {"calls/{territory}": "1"}, calls, "rep", carries=True))
    if any(channel.name == "email" for channel in world.channels):
        parts.append(_channel("email", {"sends": "1"}, [], "channel"))
    if visits:
        parts.append(_channel("msl_visit", {"hours/{territory}": "1.5"}, visits, "rep"))
    return "\n".join(parts)


def _channel(name: str, uses: dict[str, str], forces: list[str], list_by: str, *, carries: bool = False) -> str:
    lines = [f"[channels.{name}]", *(["carries_details = true"] if carries else [])]
    lines.append("uses = { " + ", ".join(f'"{resource}" = {amount}' for resource, amount in uses.items()) + " }")
    named = ", ".join(f'"{force}"' for force in forces)
    lines += [f"sales_forces = [{named}]"] if forces else []
    return "\n".join([*lines, "most_per_hcp = 1", f'list_by = "{list_by}"', ""])


def _people(own: list[str]) -> str:
    rows = ["# Everyone whom a table or a charter names, by role."]
    rows += [f"owner-calls-{name}: {{roles: [agent-owner]}}" for name in own] + [f"brand-lead-{name}: {{roles: [brand-lead]}}" for name in own]
    roles = {"owner-authority": "authority-owner", "owner-email": "agent-owner", "owner-msl": "agent-owner", "compliance-lead": "compliance"}
    roles |= {"mlr-lead": "mlr", "medical-lead": "medical", "safety-lead": "safety", "data-steward": "data-steward"}
    return "\n".join([*rows, *(f"{name}: {{roles: [{role}]}}" for name, role in roles.items()), ""])


def _charters(world: Description, own: list[str]) -> dict[str, str]:
    texts = {}
    costs = {channel.name: channel.cost_minor for channel in world.channels}
    for name in own:
        if "call" in costs and any(name in force.products for force in world.forces if force.channel == "call"):
            uses = f"uses: {{supply/{name}: 1}}\n" if name in world.supply else ""
            objective = f"New prescriptions of {name} through details in reps' calls"
            texts[f"calls-{name}"] = _charter(
                f"calls-{name}", "call-planner", objective, "promotional", f"owner-calls-{name}", f"brand-lead-{name}", "call", [name]
            )
            texts[f"calls-{name}"] += f"{uses}settings: {{cost_minor: {costs['call']}}}\n"
    if "email" in costs:
        texts["email"] = _charter("email", "email", "Prescriptions through approved e-mails", "promotional", "owner-email", "compliance-lead", "email", own)
        texts["email"] += f"uses: {{budget/email: {costs['email'] / 100:g}}}\nsettings: {{modules: {len(world.topics)}, cost_minor: {costs['email']}}}\n"
    if any(force.channel == "msl_visit" for force in world.forces):
        objective = "Answer physicians' questions and keep education current"
        texts["msl"] = _charter("msl", "msl", objective, "medical", "owner-msl", "medical-lead", "msl_visit", own)
        texts["msl"] += "settings: {inquiry_points: 10, education_points: 1, education_after_days: 180}\n"
    return texts


def _charter(agent: str, proposer: str, objective: str, purpose: str, owner: str, watcher: str, channel: str, products: list[str]) -> str:
    return (
        f"agent: {agent}\nproposer: {proposer}\nobjective: {objective}\npurpose: {purpose}\nowner: {owner}\nwatchers: [{watcher}]\n"
        f"channels: [{channel}]\nproducts: [{', '.join(products)}]\nmost_per_hcp: 1\nexpires: {_YEARS}\n"
    )


_EXPLORATION = """
exploration:
  - id: email-learns
    when: agent = 'email' AND channel = 'email'
    tries: 0.1
    rests: 0.02
    owner: owner-email
    reason: An e-mail costs little; whether it changes anything is learnt by sending some and leaving some out at random.
"""


def _table(world: Description, own: list[str]) -> str:
    """The shared table's rows that speak of no agent, and a row per agent that may act by itself."""
    shared = (files("remit.runtime") / "examples" / "two-brands" / "authority.yaml").read_text("utf-8")
    common, found, _ = shared.partition(_BY_THEMSELVES)
    assert found  # noqa: S101 - a file of our own, held by a test
    common = common.replace("Decision rights for two brands", f"Decision rights for {world.name}")
    listed = ", ".join(f"'{name}'" for name in own)
    rows = [
        (f"calls-{name}-calls", f"agent = 'calls-{name}' AND channel = 'call' AND product = '{name}' AND purpose = 'promotional'", f"owner-calls-{name}",
         f"The call planner of {name} may plan details of {name}.")
        for name in own
    ]  # fmt: skip
    rows.append(("email-sends", f"agent = 'email' AND channel = 'email' AND product IN ({listed}) AND purpose = 'promotional' AND consent = 'opt_in'",
                 "owner-email", "The e-mail agent may write to physicians who have opted in."))  # fmt: skip
    rows.append(("msl-visits", f"agent = 'msl' AND channel = 'msl_visit' AND product IN ({listed}) AND purpose = 'medical'", "owner-msl",
                 "The medical agent may plan visits for open questions and education."))  # fmt: skip
    told = [f"\n  - id: {id_}\n    when: {when}\n    verdict: autonomous\n    owner: {owner}\n    reason: {reason}\n" for id_, when, owner, reason in rows]
    return common + _BY_THEMSELVES + "".join(told) + _EXPLORATION
