"""How the world asks and acts: the facts of each proposal, the check at the door, the channels."""

from remit.gateway.between import Asked, Room, Standing, between
from remit.gateway.channels.files import Delivery, deliver, lists, take_back
from remit.gateway.clerk import Answer, Clerk, Renewed
from remit.gateway.counting import Counts, Made, contacts_under, counted, histories
from remit.gateway.door import Stopped, clear, clear_approved
from remit.gateway.errors import GatewayError
from remit.gateway.facts import Known, gather, on_file, open_inquiries
from remit.gateway.queue import ACCOUNTABLE, REASONS, Heard, Yes, approval, escalation, handed_over, heard, lacking, may_say, refusal, remark
from remit.gateway.single import Single
from remit.gateway.tally import Tally

__all__ = [
    "ACCOUNTABLE",
    "REASONS",
    "Answer",
    "Asked",
    "Clerk",
    "Counts",
    "Delivery",
    "GatewayError",
    "Heard",
    "Known",
    "Made",
    "Renewed",
    "Room",
    "Single",
    "Standing",
    "Stopped",
    "Tally",
    "Yes",
    "approval",
    "between",
    "clear",
    "clear_approved",
    "contacts_under",
    "counted",
    "deliver",
    "escalation",
    "gather",
    "handed_over",
    "heard",
    "histories",
    "lacking",
    "lists",
    "may_say",
    "on_file",
    "open_inquiries",
    "refusal",
    "remark",
    "take_back",
]
