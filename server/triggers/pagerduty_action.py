"""PagerDuty's custom incident actions: a person pressed a button. A V2 body (`messages[]`), not signed; the URL says which button.

It proves itself by a shared secret, in the header X-Ripcord-Secret or as a basic-auth password. The secret itself is never
stored: what is kept is a seal over the body and the button's name, made with the secret that fitted, so that the executing process
can test the stored bytes again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from server.core.delivery import MOST, Auth, Delivery
from server.core.pagerduty import parse_time, text
from server.triggers.wire import header, read_object, sha256, whole, within

SECRET = "X-Ripcord-Secret"  # noqa: S105 - the header's name
BUTTON = "X-Ripcord-Button"
SEAL = "X-Ripcord-Seal"
WAYS: tuple[Auth, ...] = ("header_secret", "basic")


def sealed(given: Mapping[str, str], raw: bytes, secrets: Sequence[str], button: str) -> dict[str, str]:
    """What is kept of the headers: the button, and the seal where one of the secrets fits. Constant time."""
    kept = {BUTTON: button}
    shown = {"header_secret": header(given, SECRET), "basic": _password(header(given, "Authorization"))}
    for way in reversed(WAYS):
        for secret in secrets:
            said = (shown[way] or "").encode("utf-8", "replace")
            if hmac.compare_digest(said, secret.encode()) and secret:
                kept[SEAL] = _seal(way, raw, button, secret)
    return kept


def authentic(headers: Mapping[str, str], raw: bytes, secrets: Sequence[str]) -> Auth | None:
    """Whether the seal is ours, and which way the secret came."""
    seal, button = header(headers, SEAL) or "", header(headers, BUTTON) or ""
    found: Auth | None = None
    for way in WAYS:
        for secret in secrets:
            fits = hmac.compare_digest(seal.encode("utf-8", "replace"), _seal(way, raw, button, secret).encode())
            found = way if fits and secret else found
    return found


def parse(headers: Mapping[str, str], raw: bytes, auth: Auth) -> Delivery:
    """The first message: its id is the key of the whole body."""
    return _message(headers, raw, auth, 0, within(read_object(raw), "messages", 0))


def messages(headers: Mapping[str, str], raw: bytes, auth: Auth) -> tuple[tuple[Delivery, ...], int]:
    """All messages in their order, and how many beyond the first MOST were left out. PagerDuty sends one in each body."""
    found = within(read_object(raw), "messages")
    listed = found if isinstance(found, list) and found else [None]
    taken = tuple(_message(headers, raw, auth, n, one) for n, one in enumerate(listed[:MOST]))
    return taken, len(listed) - len(taken)


def _message(headers: Mapping[str, str], raw: bytes, auth: Auth, n: int, message: object) -> Delivery:
    """One message, which becomes a decision of its own. n: from 0."""
    digest, agent = sha256(raw), within(message, "log_entries", 0, "agent")
    return Delivery(
        trigger="pagerduty_action",
        auth=auth,
        webhook_id=whole(header(headers, "X-Webhook-Id"), 200),
        event_key=whole(within(message, "id"), 200) or f"sha256:{digest}{f'/{n + 1}' if n else ''}",
        event_type=whole(within(message, "event"), 100) or "",
        occurred_at=parse_time(within(message, "created_on")),
        incident=whole(within(message, "incident", "id"), 64),
        agent=whole(within(agent, "id"), 64),
        agent_type=whole(within(agent, "type"), 64),
        agent_name=text(within(agent, "summary"), 200) or None,
        runbook=whole(header(headers, BUTTON), 100),
        title=text(within(message, "incident", "title"), 1024),
        body_sha256=digest,
    )


def _seal(way: str, raw: bytes, button: str, secret: str) -> str:
    said = b"ripcord-press-1\0" + way.encode() + b"\0" + button.encode("utf-8", "replace") + b"\0" + raw
    return hmac.new(secret.encode(), said, hashlib.sha256).hexdigest()


def _password(authorization: str | None) -> str | None:
    """The password of basic auth; whoever the user says he is, the secret alone counts."""
    kind, _space, coded = (authorization or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        plain = base64.b64decode(coded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return plain.partition(":")[2]
