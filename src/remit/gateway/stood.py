"""Proposals that stand until the next cycle, which judges them and chooses jointly among them and everybody else's. Here they are taken in, for form and reach.

INVARIANT (bounded): an agent has no more of them on record between two cycles than its charter could reach, those it took back included.
"""

from collections.abc import Callable
from dataclasses import dataclass

from remit.gateway.between import Asked, Standing, proposal_id
from remit.gateway.errors import GatewayError
from remit.gateway.tally import Tally
from remit.ledger import Entry
from remit.terms.charters import EXTERNAL, Charter

STANDING = "remit.standing/1"


@dataclass(frozen=True, slots=True)
class Stood:
    """A proposal that stands: its id, and the entry that records it."""

    id: str
    entry: Entry
    disposition: str = "standing"


def stand(asked: Asked, charter: Charter, standing: Standing, tally: Tally, ref: bytes, most: Callable[[], int], now: int) -> Stood | GatewayError:
    """The proposal of `charter`'s agent about the HCP with the ledger's reference `ref`, to be recorded; or why it cannot stand. `most` tells how many its
    charter could reach."""
    fault = _fault(asked, charter, standing, tally, ref, most)
    if fault is not None:
        return fault
    name = proposal_id(standing.secret, charter.agent, asked.key)
    said = {"id": name, "agent": charter.agent, "channel": asked.channel, "product": asked.product, "asked": asked.digest(standing.secret), "at": now}
    words = {each: getattr(asked, each) for each in ("hcp_id", "channel", "product", "content_id", "communication_type", "value")}
    proposal = {**words, "agent": charter.agent, "purpose": charter.purpose}
    return Stood(name, Entry("standing", STANDING, {**said, "purpose": charter.purpose}, asked.hcp_id, {"hcp_id": asked.hcp_id, "proposal": proposal}))


def _fault(asked: Asked, charter: Charter, standing: Standing, tally: Tally, ref: bytes, most: Callable[[], int]) -> GatewayError | None:
    if charter.proposer != EXTERNAL:
        return GatewayError("only what an external agent proposes can stand: this one is asked in every cycle", do="Propose it without `stands`.")
    if asked.channel not in charter.channels or asked.product not in charter.products:
        what = f"the charter of `{charter.agent}` does not grant `{asked.channel}` about `{asked.product}`"
        return GatewayError(what, do="`describe` says what it grants.")
    if not standing.single.serves(asked.hcp_id, [asked.product]):
        return GatewayError(f"the charter of `{charter.agent}` does not reach this HCP about `{asked.product}`", where=asked.key)
    if tally.standing.get((ref, charter.agent, asked.channel, asked.product), 0) >= charter.most_per_hcp:
        what = f"as many stand as the charter allows on a physician: {charter.most_per_hcp} through a channel about a product"
        return GatewayError(what, where=asked.key, do="Withdraw one, or wait for the next cycle.")
    if tally.stood.get(charter.agent, 0) >= most():
        return GatewayError(f"as many have stood since the last cycle as the charter could reach: {most()}", do="Wait for the next cycle.")
    return None


def most_standing(charter: Charter, standing: Standing) -> int:
    """How many proposals of an agent may stand between two cycles: for every HCP it may reach, as many as its charter allows through each channel about each
    product."""
    return charter.most_per_hcp * len(charter.channels) * sum(len(standing.single.served([product])) for product in charter.products)
