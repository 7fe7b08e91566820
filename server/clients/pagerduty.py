"""PagerDuty through pdpyras, with its traps closed: one session for each thread, one request for each call, no netrc.

pdpyras retries a 429 without end and re-sends a POST after a time-out; both are switched off here, because only the story above
knows whether a repeat is safe. A 401 prints the end of the key in the library's own text, so that text goes nowhere.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import requests
import urllib3

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the library announces its successor at import
    import pdpyras

from server.clients import CALL_SECONDS
from server.clients.deadline import POOLS, Deadline
from server.core.incident import Incident
from server.core.pagerduty import parse_incident
from server.errors import Missing, Refused, Transient, Unknown

CONNECT_SECONDS = 2.0
ALREADY_RESOLVED = 1001


class _Adapter(requests.adapters.HTTPAdapter):
    """Connections that obey the deadline."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As the library does, with our pools."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS


_MERGES = 5  # how often an incident that was merged is followed to the next
_PAGE, _PAGES = 100, 11  # an incident has at most 1000 alerts


class PagerDutyApi:
    """PagerDuty's REST API."""

    def __init__(self, url: str, key: str, sender: str, now: Callable[[], datetime]) -> None:
        self.url, self.key, self.sender, self.now = url, key, sender, now
        self.known_as: str | None = None
        self._local = threading.local()

    def who_are_we(self) -> str | None:
        """The user that our writes go under: an account key says it by From, a user's own key is that user. None: no such user."""
        if self.known_as is None:
            self.known_as = self._user()
        return self.known_as

    def _user(self) -> str | None:
        if not self.sender:
            user = self._read("/users/me").get("user")
            return str(user["id"]) if isinstance(user, dict) and user.get("id") else None
        found = self._read("/users", {"query": self.sender, "limit": _PAGE}).get("users")
        for user in found if isinstance(found, list) else ():
            if isinstance(user, dict) and str(user.get("email")).lower() == self.sender.lower() and user.get("id"):
                return str(user["id"])
        return None

    def incident(self, incident: str, *, alerts: bool = True) -> Incident:
        """The incident, with all its alerts. Where it was merged into another, that one: there the alerts are now."""
        read, passed = self._incident(incident, alerts), [incident]
        while read.status == "resolved" and read.merged_into and len(passed) <= _MERGES:
            if read.merged_into in passed:
                break
            passed.append(read.merged_into)
            read = self._incident(read.merged_into, alerts)
        return read.model_copy(update={"merged": tuple(one for one in passed if one != read.id)})

    def _incident(self, incident: str, alerts: bool) -> Incident:
        body = self._read(f"/incidents/{_id(incident)}")
        listed = self._alerts(incident) if alerts else []
        try:
            read = parse_incident(body["incident"], listed, self.now())
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Transient(f"pagerduty: incident {incident}: not the shape of an incident") from error
        if read.id != incident:  # a cache or a proxy gave somebody else's: nothing is decided on that one
            raise Transient(f"pagerduty: incident {incident}: the answer is about another one, {read.id}")
        return read

    def _alerts(self, incident: str) -> list[dict[str, Any]]:
        """All of them: one that is not read could be the one that names another target."""
        found: list[dict[str, Any]] = []
        for _page in range(_PAGES):
            answer = self._read(f"/incidents/{_id(incident)}/alerts", {"limit": _PAGE, "offset": len(found)})
            page = answer.get("alerts")
            if not isinstance(page, list):
                raise Transient(f"pagerduty: alerts of {incident}: not the shape of alerts")
            found += [one for one in page if isinstance(one, dict)]
            if answer.get("more") is not True or not page:
                return found
        raise Transient(f"pagerduty: alerts of {incident}: more than {_PAGES * _PAGE}, which PagerDuty does not have")

    def notes(self, incident: str) -> list[tuple[str, str]]:
        """The incident's notes."""
        body = self._read(f"/incidents/{_id(incident)}/notes")
        try:
            return [(str(note["id"]), str(note.get("content", ""))) for note in body["notes"]]
        except (KeyError, TypeError) as error:
            raise Transient(f"pagerduty: notes of {incident}: not the shape of notes") from error

    def add_note(self, incident: str, content: str) -> str:
        """Adds a note once."""
        body = self._write("POST", f"/incidents/{_id(incident)}/notes", {"note": {"content": content}})
        note = body.get("note")
        if not isinstance(note, dict) or not note.get("id"):
            raise Unknown(f"pagerduty: POST note to {incident}: the answer names no note")
        if isinstance(user := note.get("user"), dict) and isinstance(user.get("id"), str):
            self.known_as = user["id"]  # whom PagerDuty names as the writer, it names as the agent of the echo
        return str(note["id"])

    def edit_note(self, incident: str, note: str, content: str) -> None:
        """Replaces a note's text."""
        self._write("PUT", f"/incidents/{_id(incident)}/notes/{_id(note)}", {"note": {"content": content}})

    def resolve(self, incident: str, resolution: str) -> bool:
        """Resolves it; False where it was resolved before (error 1001)."""
        wanted = {"type": "incident_reference", "status": "resolved", "resolution": resolution}
        try:
            self._write("PUT", f"/incidents/{_id(incident)}", {"incident": wanted})
        except Refused as error:
            if error.code == ALREADY_RESOLVED:
                return False
            raise
        return True

    def _session(self) -> Any:
        session = getattr(self._local, "session", None)
        if session is None:
            session = pdpyras.APISession(self.key, default_from=self.sender or None)
            session.url, session.timeout, session.trust_env = self.url, (CONNECT_SECONDS, CALL_SECONDS), False
            for scheme in POOLS:
                session.mount(f"{scheme}://", _Adapter())
            # One request each: a positive entry with no attempts left returns the answer at once.
            session.retry.update({429: 1})
            session.max_http_attempts, session.max_network_attempts = -1, 0
            self._local.session = session
        return session

    def _read(self, path: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        response = self._ask("GET", path, params=params or {})
        status = response.status_code
        if status == 404:
            raise Missing(f"pagerduty: GET {path}: 404 not found")
        if status >= 300:
            raise Transient(f"pagerduty: GET {path}: {status}", _reset(response))
        body = _json(response)
        if body is None:
            raise Transient(f"pagerduty: GET {path}: the answer is not JSON")
        return body

    def _write(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = self._ask(method, path, json=body)
        status, what = response.status_code, f"pagerduty: {method} {path}: {response.status_code}"
        if status in (401, 403, 429) or (status == 503 and "retry-after" in response.headers):
            raise Transient(what, _reset(response))
        if status == 404:
            raise Missing(f"{what} not found")
        if status >= 500:
            # It answered: it took effect already, or never will. That is clear as soon as after a broken connection.
            raise Unknown(what, broken=True)
        if status >= 300:
            raise Refused(what, status, _code(response))
        answer = _json(response)
        if answer is None:
            raise Unknown(f"{what}, and the answer is not JSON", broken=True)  # as clear, as soon, as above
        return answer

    def _ask(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        what = f"pagerduty: {method} {path}"
        session = self._session()
        with Deadline(CALL_SECONDS) as deadline:
            try:
                # Redirects are not followed: the key belongs to the host that was set, and a POST would become a GET.
                response: requests.Response = session.request(method, path, allow_redirects=False, **kwargs)
                return response
            except pdpyras.PDHTTPError as error:
                return error.response  # type: ignore[no-any-return]
            except pdpyras.PDClientError as error:
                self._forget()
                clear = self._sorted(method, what, error.__cause__, deadline.passed)
            finally:
                session.api_call_counts.clear()  # the library counts by URL, for ever
                session.api_time.clear()
        # The library's text may quote a header with the key in it: it goes nowhere.
        raise clear from None

    def _forget(self) -> None:
        """A session whose connection broke is not used again."""
        self._local.session.close()
        self._local.session = None

    def _sorted(self, method: str, what: str, cause: BaseException | None, late: bool) -> Transient | Unknown:
        """What a broken call means: not sent, or perhaps sent."""
        if isinstance(cause, requests.exceptions.ConnectTimeout):
            return Transient(f"{what}: no connection", 1.0)
        if cause is not None and (why := _never_sent(cause)) is not None:
            return Transient(f"{what}: {why}", 1.0)
        if isinstance(cause, requests.exceptions.InvalidHeader | requests.exceptions.InvalidURL):
            return Transient(f"{what}: the request could not be sent ({type(cause).__name__})")
        if late or isinstance(cause, requests.exceptions.Timeout):
            return self._unclear(method, f"{what}: no answer within {CALL_SECONDS:g} s")
        return self._unclear(method, f"{what}: the connection broke", broken=True)

    @staticmethod
    def _unclear(method: str, said: str, *, broken: bool = False) -> Transient | Unknown:
        return Transient(said) if method == "GET" else Unknown(said, broken=broken)


def _id(text: str) -> str:
    """Ids are letters and digits; anything else never becomes part of a path."""
    if not text.isascii() or not text.isalnum() or len(text) > 64:
        raise Missing(f"pagerduty: {text[:64]!r} is not an id")
    return text


def _never_sent(error: BaseException) -> str | None:
    """Why no request can have left, or None: the name, the connection or the certificate failed before it."""
    for cause in _causes(error):
        if isinstance(cause, urllib3.exceptions.NameResolutionError):
            return "its name cannot be resolved"
        if isinstance(cause, urllib3.exceptions.NewConnectionError):
            return "connection refused"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate is not trusted"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made of: urllib3 keeps the reason in the exception, requests in its arguments."""
    waiting, seen = [error], 0
    while waiting and seen < 20:
        one, seen = waiting.pop(0), seen + 1
        yield one
        inside = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        waiting += [cause for cause in inside if isinstance(cause, BaseException)]


def _json(response: requests.Response) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError, RecursionError):
        value = response.json()
        if isinstance(value, dict):
            return value
    return None


def _code(response: requests.Response) -> int | None:
    """PagerDuty's own number of the error."""
    error = (_json(response) or {}).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) else None


def _reset(response: requests.Response) -> float | None:
    """How long to wait, where the other side said so."""
    for name in ("ratelimit-reset", "retry-after"):
        text = response.headers.get(name, "")
        if text.isascii() and text.isdigit():
            return min(float(text), 60.0)
    return None
