"""The clerk: answers proposals between cycles, many in one turn at the log, and hands over what is autonomous, each checked again at the door."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from remit.authority import Table
from remit.gateway.between import Asked, Decision, Standing, decide, in_force, proposal_id
from remit.gateway.clocks import steady
from remit.gateway.door import clear_one
from remit.gateway.errors import GatewayError
from remit.gateway.guarding import tripped
from remit.gateway.queue import refusal
from remit.gateway.reading import Since, facts_of
from remit.gateway.reported import Outcome, Reported, report
from remit.gateway.stood import Stood, most_standing, stand
from remit.gateway.tally import Given, Tally
from remit.gateway.tracing import tracer, until_here
from remit.ledger import Entry, Fresh, Ledger, Turn
from remit.terms.charters import Charter
from remit.terms.encoding import canonical
from remit.terms.proposals import Acted, Cleared, Recorded

Deliver = Callable[[str, int, Sequence[Cleared]], Mapping[str, Mapping[str, Any]]]
"""Gives cleared actions to their channels: of a label and the number of the first, the files by name with digest and rows. Again, it changes nothing."""


class Held(Protocol):
    """The lease of a turn, from one step of it to the next `lasts_s`. `broken_off`: whoever had it before ended within, and may have left files that nobody
    recorded."""

    broken_off: bool
    lasts_s: float

    def renew(self) -> None:
        """Goes on for another step. Raises a `RemitError` if the lease has run out."""
        ...

    def mended(self) -> None:
        """Says that what was left behind is taken back."""
        ...


class Renewed(Exception):  # noqa: N818 - no error: what is known must be taken anew
    """A cycle, a table or a model has come since what is known was taken, or its time is over."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agent is told of a proposal: `body` and `payload` are those of the entry that records it; `disposition` is what became of it by now."""

    id: str
    disposition: str
    entry: int
    body: Mapping[str, Any]
    payload: Mapping[str, Any] | None


class Clerk:
    """One worker's place at the log. Not for two threads at once; for any number of processes.

    `fresh` is the tally of what was known when `standing` was taken. `gate` is held during every turn, and ends by itself: whoever plans a cycle holds it
    against the clerks. `clock` tells UTC microseconds of the workspace, `wall` those of the machine, where they are not the same; while the clock stands before
    what is recorded, nothing is decided. `mend` takes back files that nobody recorded, `finish` does what follows a stop that a guard has made. `over` says
    whether what is known was derived from files that have changed since.
    """

    def __init__(
        self,
        ledger: Ledger,
        standing: Standing,
        fresh: Callable[[], Tally],
        gate: Callable[[], AbstractContextManager[Held]],
        clock: Callable[[], int],
        wall: Callable[[], int] | None = None,
        mend: Callable[[], None] | None = None,
        finish: Callable[[str], None] | None = None,
        over: Callable[[], bool] | None = None,
    ) -> None:
        self.standing, self._written = standing, over or (lambda: False)
        self._ledger, self._gate, self._clock, self._mend, self._finish = ledger, gate, clock, mend, finish
        self.wall = wall or clock
        self._fresh, self._tally, self._behind = fresh, fresh(), True
        self._table: tuple[int, Table] = (-1, standing.table)
        self._most: dict[str, tuple[Charter, int]] = {}
        self._lease: Held

    def answer(self, asks: Sequence[tuple[Charter, Asked]], beside: Sequence[Mapping[str, Any]] | None = None) -> list[Answer | GatewayError]:
        """Decides each in its order, and records all with one commit; a key that was answered before is told the same again. An HCP whom the charter does not
        cover, or a key used for something else, is that proposal's `GatewayError` alone. `beside` says of each what led to it: its `clock`, the `event` that it
        answers. Raises `Renewed`, `LedgerError`."""
        with self._turn() as (turn, tally, now):
            table, entries, answers = self._in_force(tally), list[Entry](), list[Answer | GatewayError]()
            current = [(self.standing.charters.get(came.agent), came.agent, asked) for came, asked in asks]  # it may have changed while they waited
            refs = turn.refs({asked.hcp_id for charter, _, asked in current if charter is not None and self.may_see(charter, asked)})
            here: dict[str, Answer] = {}
            deciding = tracer().start_span("decide", attributes={"proposals": len(asks)})
            for place, (charter, agent, asked) in enumerate(current):
                given = tally.given.get(proposal_id(self.standing.secret, agent, asked.key))
                if given is not None:
                    answers.append(self._again(asked, given, here))
                elif charter is None:
                    answers.append(GatewayError(f"`{agent}` has no charter any more", where=asked.key, do="Ask its owner."))
                elif not self.may_see(charter, asked):
                    answers.append(_unseen(charter, asked))
                elif asked.channel not in self.standing.channels:
                    answers.append(GatewayError(f"there is no channel `{asked.channel}`", do=f"There are {', '.join(sorted(self.standing.channels))}."))
                else:
                    said = _timed(beside[place] if beside else {}, self.wall())
                    made = self._made(asked, charter, table, tally, refs[asked.hcp_id], turn.size + len(entries), now, said)
                    if isinstance(made, GatewayError):
                        answers.append(made)
                        continue
                    noted = -1 - len(entries)
                    tally.note([Fresh(noted, made.entry.kind, refs[asked.hcp_id], dict(made.entry.body))])
                    entries.append(made.entry)
                    here[made.id] = Answer(made.id, made.disposition, noted, made.entry.body, made.entry.payload)
                    answers.append(here[made.id])
            deciding.end()
            numbers = turn.append(f"{self.standing.label}:{turn.size}", entries, cycle=self.standing.label) if entries else []
            tally.settle({-1 - noted: number for noted, number in enumerate(numbers)}, turn.size + len(numbers))
        return [_numbered(answer, numbers) for answer in answers]

    def _made(
        self, asked: Asked, charter: Charter, table: Table, tally: Tally, ref: bytes, number: int, now: int, said: Mapping[str, Any]
    ) -> Decision | Stood | GatewayError:
        if not asked.stands:
            return decide(asked, charter, self.standing, table, tally, ref, number, now, said)
        return stand(asked, charter, self.standing, tally, ref, lambda: self.most_standing(charter), now)

    def read(self, charter: Charter, hcps: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """What the charter lets its agent read of each HCP, with what was counted by this clerk's last turn."""
        tally, now = self._tally, self._clock()
        refs = {*tally.contacts, *tally.held.values(), *tally.engaged.opted_out, *tally.engaged.inquiries}
        named = {key.hcp_id: ref for ref, key in self._ledger.vault.of_refs(refs).items()}
        return {hcp: facts_of(charter, hcp, self.standing.single, self.standing.licences, _since(tally, named.get(hcp)), now) for hcp in hcps}

    def most_standing(self, charter: Charter) -> int:
        """How many proposals of the charter's agent may stand until the next cycle."""
        held = self._most.get(charter.agent)
        if held is None or held[0] is not charter:
            held = self._most[charter.agent] = charter, most_standing(charter, self.standing)
        return held[1]

    def handed_over(self, decision: str, hcp_id: str, ref: bytes, channel: str, product: str) -> int | None:
        """The entry of a decision, as lists name it, if it is one of the last cycle or since, about this HCP, channel and product, and was handed over."""
        label, _, number = decision.rpartition("/")
        if label == self.standing.label:
            about = (self._tally.given[name] for name in self._tally.about.get(ref, ()))
            said = ((given.entry, given.number, given.disposition == "acted", given.channel, given.product) for given in about)
        elif label == self.standing.cycle:
            done = self._handed
            actions = ((each.seq, each.payload) for each in self._ledger.entries(kind="action", cycle=label, hcp_id=hcp_id) if each.payload is not None)
            said = ((seq, of["number"], seq in done, of["proposal"]["channel"], of["proposal"]["product"]) for seq, of in actions)
        else:
            return None
        return next((entry for entry, *rest in said if rest == [int(number), True, channel, product]), None)

    @cached_property
    def _handed(self) -> frozenset[int]:
        """What of the last cycle was handed over when this clerk first asked."""
        acted = self._ledger.entries(kind="acted", cycle=self.standing.cycle)
        return frozenset(int(seq) for entry in acted for seq in entry.body["actions"])

    def may_see(self, charter: Charter, asked: Asked) -> bool:
        """Whether the charter lets its agent speak of this HCP: one who is served with one of its products."""
        return self.standing.single.serves(asked.hcp_id, charter.products)

    @contextmanager
    def turn(self) -> Iterator[tuple[Turn, Tally, int]]:
        """A turn at the log, for what is recorded besides proposals: the turn, all that was counted by then, the workspace's clock."""
        with self._turn() as held:
            yield held

    def now(self) -> int:
        """The workspace's clock, in UTC microseconds."""
        return self._clock()

    @property
    def tally(self) -> Tally:
        """What was counted, as of this clerk's last turn."""
        return self._tally

    def status(self, agent: str, name: str) -> Answer | None:
        """What became of an agent's proposal; None if it made none of this id since the cycle before last."""
        if (given := self._own(agent, name)) is None:
            with self._turn():
                given = self._own(agent, name)
        return None if given is None else self._told(given)

    def receipt(self, agent: str, name: str) -> bytes | None:
        """The receipt of an agent's decision, which leaves sealed whatever is sealed; None if it made none of this id since the cycle before last."""
        told = self.status(agent, name)
        return None if told is None else self._ledger.sealed_receipt(told.entry)

    def withdraw(self, asks: Sequence[tuple[str, str]]) -> list[Answer | None]:
        """Takes proposals back that were not acted on yet, each told as its agent and id, all with one commit; says what became of each either way, None of one
        that its agent did not make."""
        with self._turn() as (turn, tally, now):
            gone: dict[int, Entry] = {}
            for agent, name in asks:
                given = self._own(agent, name)
                if given is not None and given.disposition in ("chosen", "waiting", "standing"):
                    uses = given.uses if not given.stood else self._uses(given)
                    gone[given.entry] = refusal(given.entry, "withdrawn by the agent", now, given.at, uses, because="withdrawn")
            if gone:
                numbers = turn.append(f"{self.standing.label}:{turn.size}", list(gone.values()), cycle=self.standing.label)
                tally.take([Fresh(number, entry.kind, None, dict(entry.body)) for number, entry in zip(numbers, gone.values(), strict=True)])
        return [None if (given := self._own(agent, name)) is None else self._told(given) for agent, name in asks]

    def report(self, agent: str, name: str, outcome: Outcome) -> Reported | None:
        """Records what became of an agent's action, once; None if it made no proposal of this id. Raises `GatewayError`, `Renewed`, `LedgerError`."""
        with self._turn() as (turn, tally, now):
            try:
                return report(self._ledger, turn, tally, self.standing.label, agent, name, outcome, now, self.standing.ahead)
            except GatewayError as error:  # of who reports: the turn is as good as before
                fault = error
        raise fault

    def table(self) -> Table:
        """The table with the stops in force, as of this clerk's last turn."""
        return self._in_force(self._tally)

    @property
    def taken(self) -> Mapping[str, int]:
        """What was taken of each resource since the cycle (micro-units), as of this clerk's last turn."""
        return self._tally.used

    @property
    def due(self) -> bool:
        """Whether something is to be handed over, as of this clerk's last turn."""
        return bool(self._tally.due)

    def act(self, deliver: Deliver, most: int = 250) -> tuple[int, int]:
        """Hands over what is autonomous and due: found in the ledger, judged again by what is known now, given to its channel and recorded before anybody else
        gets a turn, so that no stop can come in between. Returns how many were handed over and how many refused."""
        if not self._tally.due and not self.waits():
            return 0, 0
        with self._turn() as (turn, tally, now):
            due = sorted(tally.due)[:most]
            if not due:
                return 0, 0
            table = self._in_force(tally)
            cleared, refused = [], []
            for seq, recorded in zip(due, self._ledger.actions(due), strict=True):
                found = self._clear(recorded, tally, table, now)
                if isinstance(found, Cleared):
                    cleared.append(found)
                else:
                    given = tally.given[tally.due[seq]]
                    refused.append(refusal(seq, found, now, given.at, given.uses))
            entries = list(refused)
            if cleared:
                self._lease.renew()
                self._lease.broken_off = True  # until it is committed, nobody has recorded what lies there
                acted = [Acted(item, "files", now) for item in cleared]
                with tracer().start_as_current_span("hand over", attributes={"actions": len(cleared)}, record_exception=False):
                    files = deliver(self.standing.label, cleared[0].recorded.entry, cleared)
                body = {"actions": [item.cleared.recorded.entry for item in acted], "channel": "files", "at": now, "files": dict(files), "clock": self.wall()}
                entries.append(Entry("acted", "remit.acted/1", body))
            numbers = turn.append(f"{self.standing.label}:{turn.size}", entries, cycle=self.standing.label)
            tally.take([Fresh(number, entry.kind, None, json.loads(canonical(entry.body))) for number, entry in zip(numbers, entries, strict=True)])
            return len(cleared), len(refused)

    def over(self, now: int | None = None) -> bool:
        """Whether what is known must be taken anew: at `now` (None: by the clock) its time is over, or files that it was derived from have changed."""
        until = self.standing.until
        return self._written() or (until is not None and (self._clock() if now is None else now) >= until)

    def waits(self) -> bool:
        """Whether others have recorded something that is not counted yet."""
        return self._ledger.size > self._tally.seq

    @contextmanager
    def _turn(self) -> Iterator[tuple[Turn, Tally, int]]:
        try:
            if self._behind:  # much may have to be read, and nobody needs to wait for that
                self._tally.take(self._ledger.fresh(self._tally.seq))
                self._behind = False
            with self._gate() as lease:
                with until_here() as begin, self._ledger.turn(self._tally.seq, lease.lasts_s) as turn:
                    self._lease = lease
                    lease.renew()  # it may have waited for the log
                    if lease.broken_off and self._mend is not None:
                        self._mend()
                        lease.mended()
                    left = lease.broken_off
                    self._tally.take(turn.fresh)
                    if self._tally.renewed:
                        raise Renewed
                    now = steady(self._clock(), self._tally.latest)
                    if self.over(now):
                        raise Renewed
                    stops = self._guarded(turn, self._tally, now)
                    yield turn, self._tally, now
                    lease.renew()  # before the commit
                    begin("commit")
                if not left:
                    lease.mended()
            if self._finish is not None:
                for name in stops:
                    self._finish(name)
        except BaseException:
            self._tally, self._behind = self._fresh(), True  # what was noted may not have been recorded: all is read again
            raise

    def _guarded(self, turn: Turn, tally: Tally, now: int) -> list[str]:
        """Records what the guards stop or downgrade by what has been reported, before anything is decided; says by which names."""
        names = []
        for guard, figure in tally.watch.due(now):
            name, entry = tripped(guard, figure, tally.numbered + 1, now)
            (number,) = turn.append(name, [entry], cycle=name)
            tally.take([Fresh(number, entry.kind, None, json.loads(canonical(entry.body)))])
            turn.size = number + 1
            names.append(name)
        return names

    def _clear(self, recorded: Recorded, tally: Tally, table: Table, now: int) -> Cleared | str:
        proposal = recorded.chosen.judged.proposal
        given = tally.given[tally.due[recorded.entry]]
        more, own = list(tally.contacts.get(given.hcp or b"", ())), given.contact
        if counted := own in more:
            more.remove(own)
        facts = self.standing.single.facts(proposal, now, more, stopped=given.hcp in tally.held.values(), but=None if counted else own)
        facts = tally.engaged.facts(facts, given.hcp or b"")
        rep, _ = self.standing.single.covered(proposal.hcp_id, proposal.product, proposal.channel)
        return clear_one(recorded, facts, rep, table, now)

    def _in_force(self, tally: Tally) -> Table:
        if self._table[0] != tally.changed:
            self._table = (tally.changed, in_force(self.standing, tally))
        return self._table[1]

    def _again(self, asked: Asked, given: Given, here: Mapping[str, Answer]) -> Answer | GatewayError:
        if given.asked != asked.digest(self.standing.secret):
            what = f"the key `{asked.key}` was used for another proposal"
            return GatewayError(what, do="Give each proposal a key of its own; the same key means the same proposal again.")
        return here.get(given.id) or self._told(given)

    def _own(self, agent: str, name: str) -> Given | None:
        given = self._tally.given.get(name)
        return None if given is None or given.agent != agent else given

    def _uses(self, given: Given) -> Mapping[str, int]:
        """What an action of a cycle reserves."""
        payload = self._ledger.entry(given.entry).payload
        return payload["context"]["uses"] if payload is not None else {}

    def _told(self, given: Given) -> Answer:
        stored = self._ledger.entry(given.entry)
        return Answer(given.id, given.disposition, given.entry, stored.body, stored.payload)


def _since(tally: Tally, ref: bytes | None) -> Since:
    if ref is None:
        return Since()
    return Since(tally.contacts.get(ref, ()), ref in tally.held.values(), lambda facts: tally.engaged.facts(facts, ref))


def _timed(beside: Mapping[str, Any], judged: int) -> Mapping[str, Any]:
    """What led to a decision, its clock with when it is judged."""
    return {**beside, "clock": {**beside["clock"], "judged": judged}} if "clock" in beside else beside


def _unseen(charter: Charter, asked: Asked) -> GatewayError:
    return GatewayError(f"the charter of `{charter.agent}` does not reach this HCP", where=asked.key, do="Propose for HCPs that `describe` lists.")


def _numbered(answer: Answer | GatewayError, numbers: Sequence[int]) -> Answer | GatewayError:
    if isinstance(answer, GatewayError) or answer.entry >= 0:
        return answer
    return replace(answer, entry=numbers[-1 - answer.entry])
