"""What may be done: the shape of an action, and the one table of them. A name is for ever: it stands in runbooks and audits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol, cast

from server.actions import abort_rollout, disable_flag, resolve_incident, switch_blue_green_back
from server.clients import Clients
from server.core.outcome import Call, Finished, Json, LookAgain, Model, Outcome, Plan, Refusal, Remarks, Verdict, Write
from server.core.runbook import Options


class Action(Protocol):
    """One file each, its names plain functions. Looking, sleeping, intending and writing down is the flow's.

    `Any` in place of an action's own Params and state: the table holds actions of every kind.
    """

    REVERSIBLE: bool
    Params: type[Options]

    def observe(self, target: Any, clients: Clients) -> Model:
        """One look, reads only. Raises Transient where it cannot be read now. target: see ABOUT_THE_INCIDENT."""
        ...

    def state(self, seen: Json) -> Any:
        """A look that was stored as JSON."""
        ...

    def plan(self, params: Any, seen: Sequence[Any], now: datetime) -> Plan | Refusal | LookAgain:
        """Pure: from what was seen, the exact calls, or why not."""
        ...

    def proceed(
        self, plan: Plan, seen: Sequence[Any], done: Sequence[Outcome], now: datetime, stopped: bool = False
    ) -> Write | LookAgain | Finished:
        """Pure: what now? Asked after every look and write, after every look of the proof too, Finished or not."""
        ...

    def write(self, plan: Plan, call: Call, clients: Clients, key: str, n: int) -> Outcome:
        """Exactly one outside write. Raises only Transient: it was certainly not done."""
        ...

    def put_back(
        self, plan: Plan, seen: Sequence[Any], done: Sequence[Outcome], now: datetime
    ) -> Write | LookAgain | Finished:
        """Pure, asked like proceed: our own reversal of our own step, where there is one. Its writes go on in number.

        Only ever asked of a REVERSIBLE action whose check failed; never where something is unknown.
        """
        ...

    def weigh(self, plan: Plan, seen: Sequence[Any], done: Sequence[Outcome], verdict: Verdict) -> Verdict:
        """Pure: a check's verdict on one look, in the light of all looks and writes before it."""
        ...

    def remarks(
        self,
        plan: Plan | None,
        seen: Sequence[Any],
        done: Sequence[Outcome],
        verdict: Verdict | None,
        stopped: bool = False,
    ) -> Remarks:
        """Pure: what the note says beside the result. plan None: refused while planning."""
        ...


ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "abort_rollout": cast("Action", abort_rollout),
        "switch_blue_green_back": cast("Action", switch_blue_green_back),
        "disable_flag": cast("Action", disable_flag),
        "resolve_incident": cast("Action", resolve_incident),
    }
)

ABOUT_THE_INCIDENT = frozenset({"resolve_incident"})
"""These are given the run's IncidentTarget (core/run.py) in place of a target of the catalog."""

UPSTREAM: Mapping[str, str] = MappingProxyType({"disable_flag": "launchdarkly", "resolve_incident": "pagerduty"})
"""Whom an action asks; absent = kubernetes."""

KINDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "abort_rollout": frozenset({"rollout"}),
        "switch_blue_green_back": frozenset({"rollout"}),
        "disable_flag": frozenset({"flag"}),
    }
)
"""Which kinds of target an action works on; absent = every kind."""
