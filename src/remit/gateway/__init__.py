"""How the world asks and acts: the facts of each proposal, the check at the door, the channels."""

from remit.gateway.between import Asked, Room, Standing, between
from remit.gateway.channels.files import Delivery, deliver, lists, take_back
from remit.gateway.clerk import Answer, Clerk, Renewed
from remit.gateway.counting import Counts, Made, contacts_under, counted, histories
from remit.gateway.credentials import (
    TOKEN_SCOPES,
    Client,
    Issued,
    Register,
    TokenKey,
    issue_credential,
    may_issue,
    may_revoke,
    may_rotate,
    revoke_credential,
    rotate_token_key,
)
from remit.gateway.door import Stopped, asked_now, clear, clear_approved
from remit.gateway.errors import CredentialError, GatewayError
from remit.gateway.events import Event
from remit.gateway.facts import Known, gather, on_file, open_inquiries
from remit.gateway.queue import ACCOUNTABLE, REASONS, Heard, Yes, approval, escalation, handed_over, heard, lacking, may_say, refusal, remark
from remit.gateway.reporting import Reported, Taken
from remit.gateway.single import Single
from remit.gateway.tally import Pending, Tally
from remit.gateway.tokens import Bearer, Charters, Granted, Tokens

__all__ = [
    "ACCOUNTABLE",
    "REASONS",
    "TOKEN_SCOPES",
    "Answer",
    "Asked",
    "Bearer",
    "Charters",
    "Clerk",
    "Client",
    "Counts",
    "CredentialError",
    "Delivery",
    "Event",
    "GatewayError",
    "Granted",
    "Heard",
    "Issued",
    "Known",
    "Made",
    "Pending",
    "Register",
    "Renewed",
    "Reported",
    "Room",
    "Single",
    "Standing",
    "Stopped",
    "Taken",
    "Tally",
    "TokenKey",
    "Tokens",
    "Yes",
    "approval",
    "asked_now",
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
    "issue_credential",
    "lacking",
    "lists",
    "may_issue",
    "may_revoke",
    "may_rotate",
    "may_say",
    "on_file",
    "open_inquiries",
    "refusal",
    "remark",
    "revoke_credential",
    "rotate_token_key",
    "take_back",
]
