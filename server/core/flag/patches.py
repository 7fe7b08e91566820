"""The one patch on a flag: a JSON patch that tests the version that was judged. None is ever sent unbound.

A semantic patch (`turnFlagOff`) has no precondition: it would switch off what somebody mended a moment ago.
"""

from __future__ import annotations

from server.core.flag import paths
from server.core.flag.state import FlagState, word
from server.core.outcome import Call

JSON_PATCH = "application/json"
"""A JSON patch is LaunchDarkly's plain form; a semantic patch says so in its Content-Type."""
RUN = "{run}"
"""Stands for the run's id in a comment until it is known."""


def turn(state: FlagState, on: bool, comment: str) -> Call:
    """On or off, bound to the version that was seen. A pending change that it collides with does not stop it."""
    at = f"/environments/{state.environment}"
    body = {
        "comment": comment[:1000],
        "patch": [
            {"op": "test", "path": f"{at}/version", "value": state.version},
            {"op": "replace", "path": f"{at}/on", "value": on},
        ],
    }
    path = f"{paths.flag(state.project, state.flag)}?ignoreConflicts=true"
    said = f"turn {state.where} {word(on)} at version {state.version}"
    return Call(method="PATCH", path=path, body=body, content_type=JSON_PATCH, said=said)


def named(call: Call, run: str) -> Call:
    """The same call with the run's id in its comment: it then stands in LaunchDarkly's own audit log."""
    return call.model_copy(update={"body": {**call.body, "comment": call.body["comment"].replace(RUN, run)}})
