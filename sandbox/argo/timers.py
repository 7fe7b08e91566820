"""When a Rollout must be looked at again although nothing has changed: pauses, scale-down deadlines, the progress deadline."""

from __future__ import annotations

from datetime import datetime, timedelta

from sandbox.argo import conditions, counts
from sandbox.argo.names import DEADLINE, moment, notes, wanted
from sandbox.argo.passing import has_pause
from sandbox.argo.seconds import duration
from sandbox.argo.view import View

FAR = timedelta(days=3650)


def due(view: View) -> datetime:
    return min(_moments(view), default=view.now + FAR)


def _moments(view: View) -> list[datetime]:
    found = [moment(notes(rs)[DEADLINE]) for rs in view.replicasets if wanted(rs) and notes(rs).get(DEADLINE)]
    held, step = has_pause(view.status, "CanaryPauseStep"), counts.step(view) or {}
    seconds = duration((step.get("pause") or {}).get("duration"))
    if held is not None and seconds is not None:
        found.append(moment(held["startTime"]) + timedelta(seconds=seconds))
    held, seconds = has_pause(view.status, "BlueGreenPause"), view.blue_green.get("autoPromotionSeconds")
    if held is not None and seconds:
        found.append(moment(held["startTime"]) + timedelta(seconds=int(seconds) + 0.001))
    progressing = conditions.get(view.status, "Progressing")
    if progressing is not None and progressing["reason"] not in conditions.UNTIMED:
        allowed = int(view.spec.get("progressDeadlineSeconds") or 600)
        found.append(moment(progressing["lastUpdateTime"]) + timedelta(seconds=allowed))
    return found
