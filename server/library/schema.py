"""The JSON Schemas of the files, for editors: the types' own, and for each action its options."""

from __future__ import annotations

from typing import Any

from server.core.catalog import CatalogFile
from server.core.runbook import Known, RunbookFile

Json = dict[str, Any]


def schemas(known: Known) -> Json:
    """{"runbook": …, "catalog": …}."""
    runbook = RunbookFile.model_json_schema(by_alias=True)
    step, check = runbook["$defs"]["Step"], runbook["$defs"]["Verify"]
    step["properties"]["action"] = {"enum": sorted(known.actions)}
    step["allOf"] = [_with(name, known) for name in sorted(known.actions)]
    check["properties"]["check"] = {"enum": sorted(known.checks)}
    return {"runbook": runbook, "catalog": CatalogFile.model_json_schema(by_alias=True)}


def _with(name: str, known: Known) -> Json:
    """Where the action is this one, its options are these."""
    options = known.actions[name].model_json_schema(by_alias=True)
    return {"if": {"properties": {"action": {"const": name}}}, "then": {"properties": {"with": options}}}
