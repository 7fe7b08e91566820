"""Where LaunchDarkly keeps a flag and what hangs on it. Keys come from the catalog; each is one segment of a path or none at all."""

from __future__ import annotations

import re

from server.core.catalog import FlagTarget

_KEY = re.compile(r"[A-Za-z0-9._-]{1,256}")


def strange(target: FlagTarget) -> str:
    """Which key cannot be one of LaunchDarkly's, as a sentence; '' = all can."""
    for what, key in (("project", target.project), ("environment", target.environment), ("flag", target.flag)):
        if not _KEY.fullmatch(key) or not key.strip("."):
            return f"{key!r} cannot be the key of a LaunchDarkly {what}"
    return ""


def flag(project: str, key: str) -> str:
    """The flag itself."""
    return f"/api/v2/flags/{project}/{key}"


def one(target: FlagTarget) -> str:
    """The flag with this environment alone: the others can be large."""
    return f"{flag(target.project, target.flag)}?env={target.environment}"


def scheduled(target: FlagTarget) -> str:
    """What is scheduled to change it."""
    return f"/api/v2/projects/{target.project}/flags/{target.flag}/environments/{target.environment}/scheduled-changes"


def dependents(target: FlagTarget) -> str:
    """The flags that depend on it (a beta endpoint)."""
    return f"/api/v2/flags/{target.project}/{target.environment}/{target.flag}/dependent-flags"
