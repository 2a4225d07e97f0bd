"""`remit simulate`: policies side by side in one world, over seeds, and what a change would make of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import StringIO
from math import inf
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from remit.runtime.comparing import compare, interval
from remit.runtime.countries import company_texts, open_world, world_text
from remit.runtime.errors import WorkspaceError
from remit.runtime.policies import POLICIES
from remit.runtime.simulating import Life, burn_in, live
from remit.runtime.workspace import read_config
from remit.worlds import Description, World, read_world

Stage = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Change:
    """What a company would change: its texts, and factors on capacities by pattern."""

    texts: Mapping[str, str]
    capacity: Mapping[str, float]

    def scaled(self, capacity: Mapping[str, int]) -> dict[str, int]:
        """Capacities after the change. Raises `WorkspaceError` for a pattern that no capacity has."""
        answer = dict(capacity)
        for pattern, factor in self.capacity.items():
            meant = {name: round(amount * factor) for name, amount in answer.items() if fnmatchcase(name, pattern)}
            if not meant:
                raise WorkspaceError(f"no capacity is called `{pattern}`", where="--what-if", do=f"There are {', '.join(sorted(capacity))}.")
            answer |= meant
        return answer


@dataclass(frozen=True, slots=True)
class _Task:
    world: str
    where: str
    physicians: int
    seed: int
    weeks: int
    policies: tuple[str, ...]
    change: Change | None
    threads: int


def simulate(
    world: str, weeks: int, policies: Sequence[str], seeds: int, jobs: int, threads: int, physicians: int | None, what_if: Sequence[str], stage: Stage
) -> dict[str, Any]:
    """Every policy in `world` (a bundled name or a file), on the same `seeds` worlds. With `what_if`, also `remit` under the change, as a policy `what-if`.

    Raises `WorldError` for a world that cannot be built, `WorkspaceError` for a policy or a change that does not exist.
    """
    unknown = [f"`{name}`" for name in policies if name not in POLICIES]
    if unknown:
        raise WorkspaceError("there are no such policies", do=f"The policies are {', '.join(POLICIES)}.", faults=unknown)
    description = open_world(world)
    count = physicians or description.physicians
    change = read_change(what_if, company_texts(description, 1)) if what_if else None
    asked = tuple(dict.fromkeys([*policies, *(["remit"] if change else [])]))
    tasks = [_Task(world_text(world), world, count, seed, weeks, asked, change, max(1, threads // jobs)) for seed in range(1, seeds + 1)]
    lives = [life for done in _run(tasks, jobs, stage) for life in done]
    people = {seed: World.build(description, count, seed).people for seed in range(1, seeds + 1)}
    names = {"specialty": tuple(kind.name for kind in description.specialties), "population": tuple(kind.name for kind in description.populations)}
    rows = compare(lives, people, names)
    result: dict[str, Any] = {
        "world": description.name, "says": description.says, "currency": description.currency, "weeks": weeks, "physicians": count, "seeds": seeds,
        "policies": rows,
    }  # fmt: skip
    if change:
        result["what_if"] = {"changes": list(what_if), "difference_minor": _difference(lives)}
    return result


def read_change(asked: Sequence[str], texts: Mapping[str, str]) -> Change:
    """The change that `asked` describes: `capacity:PATTERN=FACTOR`, `agent:NAME=off`, `rule:ID=off`, `table=FILE`. Raises `WorkspaceError` with every fault."""
    changed, capacity, faults = dict(texts), dict[str, float](), []
    for item in asked:
        subject, _, value = item.partition("=")
        kind, _, name = subject.partition(":")
        if kind == "capacity" and name and _is_factor(value):
            capacity[name] = float(value)
        elif kind == "agent" and value == "off" and f"agents/{name}.yaml" in changed:
            del changed[f"agents/{name}.yaml"]
        elif kind == "rule" and value == "off" and _without(changed["authority.yaml"], name) is not None:
            changed["authority.yaml"] = _without(changed["authority.yaml"], name) or ""
        elif kind == "table" and (text := _text(Path(value))) is not None:
            changed["authority.yaml"] = text
        else:
            faults.append(f"`{item}`")
    if faults:
        agents = ", ".join(sorted(path.removeprefix("agents/").removesuffix(".yaml") for path in texts if path.startswith("agents/")))
        do = f"Say capacity:calls/*=0.5, agent:NAME=off ({agents}), rule:ID=off (an id of the table), or table=FILE."
        raise WorkspaceError("the change cannot be understood", where="--what-if", do=do, faults=faults)
    read_config(changed).table(0)
    return Change(changed, capacity)


def _is_factor(text: str) -> bool:
    try:
        return 0 <= float(text) < inf
    except ValueError:
        return False


def _text(path: Path) -> str | None:
    """The text of a file in UTF-8, or None."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _without(table: str, rule: str) -> str | None:
    """The table without one row, of exploration too, or None if it has no such row."""
    yaml = YAML()
    body = yaml.load(StringIO(table))
    part = next((part for part in ("rows", "exploration") if any(row["id"] == rule for row in body.get(part, ()))), None)
    if part is None:
        return None
    body[part] = [row for row in body[part] if row["id"] != rule]
    out = StringIO()
    yaml.dump(body, out)
    return out.getvalue()


def _run(tasks: list[_Task], jobs: int, stage: Stage) -> Iterator[list[Life]]:
    if jobs == 1:
        for task in tasks:
            yield _lived(task, lambda step, seed=task.seed: stage(f"seed {seed}: {step}"))  # type: ignore[misc]  # mypy does not see the default
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for number, done in enumerate(pool.map(_lived, tasks), 1):
            stage(f"{number} of {len(tasks)} seeds done")
            yield done


def _unseen(step: str) -> None:
    """Nobody watches a process of its own."""
    del step


def _lived(task: _Task, stage: Stage = _unseen) -> list[Life]:
    description: Description = read_world(task.world, task.where)
    stage("52 weeks before")
    past = burn_in(description, task.physicians, task.seed, task.weeks, threads=task.threads)
    lives = [live(past, policy, task.threads, stage) for policy in task.policies]
    if task.change:
        lives.append(live(past, "remit", task.threads, stage, change=task.change))
    return lives


def _difference(lives: Sequence[Life]) -> dict[str, float | None]:
    """Net value under the change less that without it, on the same seeds."""
    net = {(life.policy, life.seed): sum(life.net_minor) for life in lives}
    return interval([value - net["remit", seed] for (policy, seed), value in net.items() if policy == "what-if"])
