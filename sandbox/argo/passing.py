"""One pass over one Rollout: the view, and what the rooms of this pass have decided so far."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field

from sandbox.argo.names import Object, rfc3339
from sandbox.argo.view import View


@dataclass
class Pass:
    view: View
    abort_because: str | None = None  # set by an analysis or a deadline: this pass aborts
    drop_abort: bool = False
    clear_pauses: bool = False
    keep_progressing: bool = False
    pauses: list[str] = field(default_factory=list)
    weights: Object | None = None
    pointers: dict[str, Object | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        routed = self.view.canary.get("trafficRouting")  # without it no weights are told, whatever was told before
        self.weights = deepcopy((self.view.status.get("canary") or {}).get("weights")) if routed else None

    @property
    def aborted(self) -> bool:
        return self.abort_because is not None or (bool(self.view.status.get("abort")) and not self.drop_abort)

    def apply_pauses(self, new: Object) -> None:
        """Abort flag, its time and the pause conditions, as they will stand after this pass."""
        old = self.view.status
        for key in ("abort", "abortedAt", "controllerPause", "pauseConditions"):
            new.pop(key, None)
        if self.aborted:
            new["abort"] = True
            already = old.get("abort") and old.get("abortedAt")
            new["abortedAt"] = old["abortedAt"] if already else rfc3339(self.view.now)
            return
        if old.get("abort") is False:  # a false that somebody stored stays stored
            new["abort"] = False
        kept = [] if self.clear_pauses else deepcopy(old.get("pauseConditions") or [])
        kept += [{"reason": why, "startTime": rfc3339(self.view.now)} for why in self.pauses]
        if kept:
            new["controllerPause"], new["pauseConditions"] = True, kept

    def apply_canary(self, new: Object) -> None:
        canary: Object = {} if self.weights is None else {"weights": deepcopy(self.weights)}
        for name, run in self.pointers.items():
            if run is not None:
                canary[name] = run
        new["canary"] = canary


def has_pause(status: Object, reason: str) -> Object | None:
    return next((one for one in status.get("pauseConditions") or [] if one["reason"] == reason), None)
