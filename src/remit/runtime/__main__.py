"""The command line: `remit`."""

import os
import sys
from pathlib import Path
from secrets import token_hex
from typing import Annotated

import typer

from remit.authority import SCOPES
from remit.gateway import REASONS
from remit.runtime import (
    commands,
    printing,
    queue_commands,
    render,
    render_findings,
    render_queue,
    render_reported,
    render_rights,
    render_velocity,
    reported_commands,
    rights_commands,
    timing,
)
from remit.runtime.agent_commands import agent
from remit.runtime.asking import QUESTIONS
from remit.runtime.authority_commands import authority
from remit.runtime.countries import bundled
from remit.runtime.errors import WorkspaceError
from remit.runtime.init import EXAMPLES
from remit.runtime.logs import stage_logger
from remit.runtime.options import AsJson, Folder
from remit.runtime.options import say as _say
from remit.runtime.person_commands import person
from remit.runtime.policies import POLICIES
from remit.runtime.portfolio.commands import portfolio, shadow
from remit.terms.errors import RemitError
from remit.terms.proposals import DISPOSITIONS

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="The operating layer for AI in pharma commercial work.")

holdout = typer.Typer(no_args_is_help=True, help="Who is left alone, so that what acting changes can be known.")
app.add_typer(holdout, name="holdout")

outcomes = typer.Typer(no_args_is_help=True, help="What acting changed.")
app.add_typer(outcomes, name="outcomes")

models = typer.Typer(no_args_is_help=True, help="What the models have shown, and who has signed for them.")
app.add_typer(models, name="models")

app.add_typer(authority, name="authority")
app.add_typer(agent, name="agent")
app.add_typer(person, name="person")
app.add_typer(portfolio, name="portfolio")
app.command("shadow")(shadow)

_CORES = os.cpu_count() or 1

Threads = Annotated[int, typer.Option(min=1, help="Threads to use; the result is the same for any number.")]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The folder to make; it must be empty or absent.")],
    example: Annotated[str, typer.Option(help=f"What to fill it with: {' or '.join(EXAMPLES)}.")] = "two-brands",
    data: Annotated[Path | None, typer.Option(help="For `detailing`: the folder with counts.csv and physicians.csv.")] = None,
    world: Annotated[
        str | None, typer.Option(help=f"Instead of an example, a simulated country: {', '.join(bundled())}, or a file that describes one.")
    ] = None,
    physicians: Annotated[int | None, typer.Option(min=10, help="How many physicians a generated country has.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a workspace: plain files that a person can read and change."""
    made = commands.init(folder, example, data, physicians or 2000) if world is None else commands.init_world(folder, world, physicians)
    _say(made, as_json, render.init)


@app.command()
def run(
    workspace: Folder = Path(),
    cycles: Annotated[int, typer.Option(min=1, help="How many cycles to run.")] = 1,
    threads: Threads = _CORES,
    log: Annotated[bool, typer.Option("--log", help="Write process logs to stderr, as JSON lines with a run_id.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a cycle: load what arrived, ask the agents, judge, choose, record, act."""
    with printing.Progress(quiet=as_json or log) as progress:
        stage = stage_logger(token_hex(8), progress) if log else progress
        for done in commands.run(workspace, cycles, threads, stage):
            _say(done, as_json, render.run)


@app.command()
def load(workspace: Folder = Path(), as_json: AsJson = False) -> None:
    """Load what arrived since the last cycle: an opt-out among it counts for every decision from here on."""
    _say(commands.load(workspace), as_json, render.load)


@app.command()
def show(
    what: Annotated[str, typer.Argument(help=f"One of: {', '.join(commands.SHOWN)}.")],
    workspace: Folder = Path(),
    cycle: Annotated[str | None, typer.Option(help="The cycle, the last one if not given; for decisions also what followed it, `cycle-0002.between`.")] = None,
    agent: Annotated[str | None, typer.Option(help="For decisions: of this agent only.")] = None,
    disposition: Annotated[str | None, typer.Option(help=f"For decisions: {', '.join(DISPOSITIONS)}.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many rows to print.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show decisions, agents, prices, quarantine, freshness, models or segments."""
    _say(commands.show(what, workspace, cycle, agent, disposition, limit), as_json, render.show)


@app.command()
def explain(
    receipt: Annotated[str, typer.Argument(help="A decision's id, as `remit show decisions` prints it, or a receipt's file.")],
    workspace: Folder = Path(),
    out: Annotated[Path | None, typer.Option(help="Write the receipt, one JSON file, here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say of one decision what, why, who owns it, from which data and how old, and at what price it would have turned."""
    _say(commands.explain(receipt, workspace, out), as_json, render.explain)


@app.command()
def verify(
    receipts: Annotated[list[Path] | None, typer.Argument(help="Receipts to verify; the whole workspace if none are given.")] = None,
    workspace: Folder = Path(),
    against: Annotated[Path | None, typer.Option(help="An older checkpoint that the log must continue.")] = None,
    key: Annotated[Path | None, typer.Option(help="The verifier keys to trust; the workspace's own if not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Verify receipts, or the log, its segments and every recorded input, offline."""
    report = commands.verify(workspace, receipts or [], against, key)
    _say(report, as_json, render.verify)
    if report["faults"]:
        raise typer.Exit(1)


@app.command()
def replay(
    workspace: Folder = Path(),
    cycle: Annotated[str | None, typer.Option(help="The cycle, or what followed it (`cycle-0002.between`); all of them if not given.")] = None,
    threads: Threads = _CORES,
    as_json: AsJson = False,
) -> None:
    """Derive recorded cycles, and what was decided between them, again from their recorded inputs and compare every byte."""
    with printing.Progress(quiet=as_json) as progress:
        report = commands.replay(workspace, cycle, threads, progress)
    _say(report, as_json, render.replay)
    if any(item["differs"] for item in (*report["cycles"], *report["between"])):
        raise typer.Exit(1)


@app.command()
def erase(
    hcp: Annotated[str, typer.Argument(help="The HCP's id.")],
    workspace: Folder = Path(),
    reason: Annotated[str, typer.Option(help="Why, for the record; nothing personal.")] = "request",
    as_json: AsJson = False,
) -> None:
    """Destroy what is held of an HCP; the log still verifies."""
    _say(commands.erase(hcp, workspace, reason), as_json, render.erase)


@app.command()
def migrate(workspace: Folder = Path(), as_json: AsJson = False) -> None:
    """Move a workspace to this release's version."""
    _say(commands.migrate(workspace), as_json, render.migrate)


@app.command()
def simulate(
    world: Annotated[str, typer.Option(help=f"A bundled world ({', '.join(bundled())}), or a file that describes one.")],
    weeks: Annotated[int, typer.Option(min=1, help="How long every policy lives.")] = 26,
    policies: Annotated[str, typer.Option(help=f"Which policies, separated by commas: {', '.join(POLICIES)}.")] = "remit,greedy,call-plan,none,oracle",
    seeds: Annotated[int, typer.Option(min=1, help="How many worlds of the description.")] = 3,
    jobs: Annotated[int, typer.Option(min=1, help="How many processes share the seeds.")] = 1,
    physicians: Annotated[int | None, typer.Option(min=10, help="How many physicians; what the description says if not given.")] = None,
    what_if: Annotated[
        list[str] | None, typer.Option(help="A change to compare remit with: capacity:calls/*=0.5, agent:NAME=off, rule:ID=off, table=FILE. May be repeated.")
    ] = None,
    report: Annotated[Path, typer.Option(help="Where the page with charts goes.")] = Path("simulation.html"),
    threads: Threads = _CORES,
    as_json: AsJson = False,
) -> None:
    """Let policies live some months in a simulated country, beside what is done today and the best that could be done."""
    names = [name.strip() for name in policies.split(",") if name.strip()]
    with printing.Progress(quiet=as_json) as progress:
        result = commands.simulated(world, weeks, names, seeds, jobs, threads, physicians, what_if or [], report, progress)
    _say(result, as_json, render_findings.simulated)


@holdout.command("plan")
def holdout_plan(
    effect: Annotated[float, typer.Option(help="The effect to see, as a part of the mean outcome: 0.05 is 5%.")],
    workspace: Folder = Path(),
    by: Annotated[str | None, typer.Option(help="What is drawn: hcp, practice, brick or peers; what prescriptions are known of if not given.")] = None,
    level: Annotated[float, typer.Option(help="Of the two-sided intervals, which hold at all looks together.")] = 0.9,
    power: Annotated[float, typer.Option(help="The probability that some look sees the effect if it is there.")] = 0.8,
    as_json: AsJson = False,
) -> None:
    """Say how long an experiment must run, and with how many left alone, to see an effect of this size."""
    _say(commands.holdout_plan(workspace, effect, by, level, power), as_json, render_findings.holdout_plan)


@outcomes.command("show")
def outcomes_show(
    workspace: Folder = Path(),
    level: Annotated[float, typer.Option(help="Of the two-sided intervals, which hold at all looks together.")] = 0.9,
    page: Annotated[Path | None, typer.Option(help="Write a page with a chart of every look here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what acting changed against who was left alone, at every settled period since, and what each channel changed that leaves some out by itself."""
    _say(commands.outcomes_show(workspace, level, page), as_json, render_findings.outcomes_show)


@outcomes.command("nowcast")
def outcomes_nowcast(workspace: Folder = Path(), as_json: AsJson = False) -> None:
    """Show what the weeks that are not fully reported yet will have been, with intervals."""
    _say(commands.outcomes_nowcast(workspace), as_json, render_findings.outcomes_nowcast)


@outcomes.command("tried")
def outcomes_tried(
    workspace: Folder = Path(),
    periods: Annotated[int | None, typer.Option(min=1, help="Periods after a decision that count; without it, the settings' horizon.")] = None,
    table: Annotated[Path | None, typer.Option(help="Say instead what these decisions would have been worth under another authority table.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what contacts changed where chance decided whether they were made, or what another authority table would have made of it."""
    if table is None:
        _say(commands.outcomes_tried(workspace, periods), as_json, render_findings.outcomes_tried)
    else:
        _say(commands.outcomes_tried_by(workspace, table, periods), as_json, render_findings.outcomes_tried_by)


@outcomes.command("overrides")
def outcomes_overrides(workspace: Folder = Path(), as_json: AsJson = False) -> None:
    """Show what people overrule, by agent, rule, team and reason; never by person."""
    _say(queue_commands.overrides(workspace), as_json, render_queue.overrides)


@outcomes.command("reported")
def outcomes_reported(
    workspace: Folder = Path(),
    texts: Annotated[bool, typer.Option("--texts", help="Show the physicians' words instead; for the role safety alone.")] = False,
    by: Annotated[str, typer.Option(help="Who reads them: an id in people.yaml.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what agents reported of their actions, by agent, channel and outcome; or, to safety, the words with it."""
    if texts:
        _say(reported_commands.words(workspace, by), as_json, render_reported.words)
    else:
        _say(reported_commands.reported(workspace), as_json, render_reported.reported)


@outcomes.command("velocity")
def outcomes_velocity(workspace: Folder = Path(), as_json: AsJson = False) -> None:
    """Show how long decisions wait at each stage from signal to action, and who owns the stage."""
    _say(timing.outcomes_velocity(workspace), as_json, render_velocity.velocity)


@models.command("show")
def models_show(workspace: Folder = Path(), as_json: AsJson = False) -> None:
    """Show each model's stage, held-out metrics, calibration, drift, bias audit and signatures."""
    _say(commands.models_show(workspace), as_json, render_findings.models_show)


@models.command("sign")
def models_sign(
    model: Annotated[str, typer.Argument(help="The model, as `remit models show` names it.")],
    person: Annotated[str, typer.Option(help="Who signs: an id in people.yaml.")],
    role: Annotated[str, typer.Option(help="In which role; remit.toml names the two that must sign.")],
    workspace: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Record one person's yes to a model whose evidence holds; production needs two people in two roles."""
    _say(commands.models_sign(workspace, model, person, role), as_json, render_findings.models_sign)


@app.command()
def who(
    kind: Annotated[str, typer.Argument(help=f"What to ask about: {', '.join(QUESTIONS)}.")],
    name: Annotated[str, typer.Argument(help="Its name, or a decision's id.")],
    workspace: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Say who owns a decision or a row, who may change a threshold, who watches a model, who may stop an agent."""
    _say(rights_commands.who(workspace, kind, name), as_json, render_rights.who)


@app.command()
def stop(
    scope: Annotated[str, typer.Argument(help=f"What to stop: {', '.join(SCOPES)}.")],
    reason: Annotated[str, typer.Option(help="Why; nothing personal.")],
    of: Annotated[str, typer.Argument(help="Which one; nothing for `everything`.")] = "",
    by: Annotated[str, typer.Option(help="Who stops: an id in people.yaml; whoever is at the machine if not given.")] = "",
    workspace: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Stop at once: from here on nothing in this scope is decided or handed over, and what waits in it is refused."""
    _say(rights_commands.stop(workspace, scope, of, by, reason), as_json, render_rights.stop)


@app.command()
def start(
    name: Annotated[str, typer.Argument(metavar="STOP", help="The stop to end, as `remit status` names it.")],
    by: Annotated[str, typer.Option(help="Who asks, or says yes: an id in people.yaml.")],
    reason: Annotated[str, typer.Option(help="Why; nothing personal.")],
    workspace: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Start again what was stopped: one person asks, another says yes, each with a reason."""
    _say(rights_commands.start(workspace, name, by, reason), as_json, render_rights.start)


@app.command()
def queue(workspace: Folder = Path(), as_json: AsJson = False) -> None:
    """Show what waits for people: what, why, whose yes is missing, until when, and what then."""
    _say(queue_commands.queue(workspace), as_json, render_queue.queue)


@app.command()
def approve(
    digest: Annotated[str, typer.Argument(help="The action's digest, as `remit queue` shows it, or how it begins.")],
    by: Annotated[str, typer.Option(help="Who says yes: an id in people.yaml.")],
    role: Annotated[str | None, typer.Option(help="In which role; the first that is missing and that they hold if not given.")] = None,
    workspace: Folder = Path(),
    threads: Threads = _CORES,
    as_json: AsJson = False,
) -> None:
    """Say yes to exactly one action; with the last yes it is checked again and handed over."""
    _say(queue_commands.approve(workspace, digest, by, role, threads), as_json, render_queue.approve)


@app.command()
def decline(
    digest: Annotated[str, typer.Argument(help="The action's digest, as `remit queue` shows it, or how it begins.")],
    by: Annotated[str, typer.Option(help="Who says no: an id in people.yaml.")],
    because: Annotated[str, typer.Option(help=f"Why: {', '.join(REASONS)}.")],
    text: Annotated[str, typer.Option(help="Why, in words; kept sealed with the physician's record.")] = "",
    workspace: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Overrule the machine: the action is refused, with the reason on record."""
    _say(queue_commands.decline(workspace, digest, by, because, text), as_json, render_queue.decline)


@app.command()
def serve(
    workspace: Folder = Path(),
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port.")] = 8710,
    workers: Annotated[int, typer.Option(min=1, help="How many processes; of two or more, one that hangs is ended and begun again.")] = 2,
    log: Annotated[bool, typer.Option("--log", help="Write process logs to stderr, as JSON lines with a run_id.")] = False,
    traces: Annotated[Path | None, typer.Option(help="Append spans to this file, as JSON lines.")] = None,
) -> None:
    """Serve the gateway: agents ask what they may do, propose, and are answered, over REST and MCP."""
    from remit.runtime import serving  # what a server needs would slow every other command

    serving.serve(workspace, host, port, workers, log, traces)


@app.command()
def status(workspace: Folder = Path(), as_json: AsJson = False) -> None:
    """Show what is stopped, by whom and since which action, what waits for a person, and which table is in force."""
    _say(rights_commands.status(workspace), as_json, render_rights.status)


def main() -> None:
    """Runs the command line: exit 0, 1 where a check failed, 2 with one message where the user can mend something."""
    try:
        app()
    except RemitError as error:
        printing.error(error)
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        printing.error(
            WorkspaceError(error.strerror or str(error), where=str(error.filename or ""), do="Mend the disk or its rights, then run again: nothing is lost.")
        )
        sys.exit(2)


if __name__ == "__main__":
    main()
