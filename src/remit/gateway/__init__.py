"""How the world asks and acts: the facts of each proposal, the check at the door, the channels."""

from remit.gateway.channels.files import Delivery, deliver, lists, take_back
from remit.gateway.door import Stopped, clear, clear_approved
from remit.gateway.errors import GatewayError
from remit.gateway.facts import Known, gather, on_file, open_inquiries
from remit.gateway.queue import ACCOUNTABLE, REASONS, Heard, Yes, approval, escalation, handed_over, heard, lacking, may_say, refusal, remark

__all__ = [
    "ACCOUNTABLE",
    "REASONS",
    "Delivery",
    "GatewayError",
    "Heard",
    "Known",
    "Stopped",
    "Yes",
    "approval",
    "clear",
    "clear_approved",
    "deliver",
    "escalation",
    "gather",
    "handed_over",
    "heard",
    "lacking",
    "lists",
    "may_say",
    "on_file",
    "open_inquiries",
    "refusal",
    "remark",
    "take_back",
]
