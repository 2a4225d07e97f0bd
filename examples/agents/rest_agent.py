"""An agent that speaks REST: it asks what it may do, proposes e-mails to some physicians, looks what became of them, and reports that one was delivered.

REMIT_URL, REMIT_CLIENT and REMIT_SECRET say where the gateway is and who this is; `remit agent issue` gives the last two.
"""

import json
import os
import sys
import time
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

URL = os.environ.get("REMIT_URL", "http://127.0.0.1:8710")


def call(method: str, path: str, token: str | None = None, body: dict | None = None, form: dict | None = None) -> dict:
    """One request. A 503 is asked again: with the same keys nothing is done twice."""
    data = json.dumps(body).encode() if body is not None else urlencode(form).encode() if form is not None else None
    headers = {"Content-Type": "application/json" if body is not None else "application/x-www-form-urlencoded"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    for attempt in range(20):
        try:
            with urlopen(Request(URL + path, data=data, headers=headers, method=method), timeout=30) as answer:
                return json.load(answer)
        except HTTPError as error:
            if error.code != 503 or attempt == 19:
                sys.exit(f"{method} {path}: {error.code} {error.read().decode()}")
            time.sleep(float(error.headers.get("Retry-After", "1")))
    raise AssertionError


def why(answer: dict) -> str:
    """What an answer gives as its reason."""
    if "error" in answer:
        return answer["error"]
    plan = answer.get("plan") or {}
    return plan.get("why_not") or "; ".join(answer["verdict"]["reasons"])


def main() -> None:
    """Proposes up to twenty e-mails about the first product it may speak of."""
    if not {"REMIT_CLIENT", "REMIT_SECRET"} <= os.environ.keys():
        sys.exit("Set REMIT_CLIENT and REMIT_SECRET: `remit agent issue AGENT --by OWNER` gives both.")
    credentials = {"grant_type": "client_credentials", "client_id": os.environ["REMIT_CLIENT"], "client_secret": os.environ["REMIT_SECRET"]}
    token = call("POST", "/v1/token", form=credentials)["access_token"]
    allowed = call("GET", "/v1/describe", token)
    print(f"I am {allowed['agent']}: {allowed['objective']}. I may reach {allowed['hcps']} physicians through {', '.join(allowed['channels'])}.")
    content = next((each for each in allowed["content"] if each["status"] == "approved"), None)
    if content is None:
        sys.exit("There is no approved content for me to send.")
    said = {name: content[name] for name in ("channel", "product", "content_id", "communication_type")}
    hcps = call("GET", "/v1/hcps", token)["hcps"][:20]
    proposals = [{"key": f"{allowed['cycle']}:{hcp}", "hcp_id": hcp, "value": 12.5, **said} for hcp in hcps]
    answers = call("POST", "/v1/proposals", token, {"proposals": proposals})["answers"]
    for answer in answers:
        print(f"{answer['key']}: {answer['disposition']} ({why(answer)})")
    first = next((answer for answer in answers if answer["disposition"] == "chosen"), None)
    if first is None:
        return
    for _ in range(50):
        became = call("GET", f"/v1/proposals/{first['id']}", token)
        if became["disposition"] == "acted":
            outcome = {"what": "delivered", "occurred_at": became["decided_at"]}  # a world's clock stands between cycles; else: when it was delivered
            told = call("POST", f"/v1/proposals/{first['id']}/outcomes", token, outcome)
            print(f"{first['key']} was {told['what']}, as entry {told['entry']} of the ledger says.")
            return
        if became["disposition"] != "chosen":
            print(f"{first['key']} was {became['disposition']}.")
            return
        time.sleep(0.1)
    sys.exit(f"{first['key']} was not acted on within five seconds.")


if __name__ == "__main__":
    main()
