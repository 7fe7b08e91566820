"""The AnalysisRun controller: measures when it is time, applies what has come back, ends runs.

Measuring happens in threads that know no lock and no object; a result is applied at a later tick.
"""

from __future__ import annotations

import threading
from copy import deepcopy
from datetime import datetime, timedelta

from sandbox.argo import assess
from sandbox.argo.names import Object, meta, moment, name_of, namespace_of, rfc3339
from sandbox.argo.providers import Measured, fill_in, interval, measure
from sandbox.argo.seconds import duration
from sandbox.argo.writes import Write, difference

_Task = tuple[str, str]  # uid of the run, name of the metric


class Analyses:
    """Runs in flight. `silent` holds addresses of a scene that nobody answers: their measurements never end."""

    def __init__(self) -> None:
        self.silent: set[str] = set()
        self._lock = threading.Lock()
        self._under_way: dict[_Task, datetime] = {}
        self._results: dict[_Task, Measured] = {}
        self._threads: list[threading.Thread] = []
        self._ended = False

    def end(self) -> None:
        self._ended = True

    def join(self, seconds: float = 5.0) -> None:
        """Wait for the measurements under way; for tests that move the clock by hand."""
        for thread in self._threads:
            thread.join(seconds)
        self._threads.clear()

    def tick(self, runs: list[Object], now: datetime, version: str) -> list[Write]:
        return [write for run in runs for write in self._play(run, now, version)]

    def _play(self, run: Object, now: datetime, version: str) -> list[Write]:
        old: Object = run.get("status") or {}
        if old.get("phase") in assess.ENDED or meta(run).get("deletionTimestamp"):
            return []
        new = deepcopy(old) if old.get("phase") else assess.started(run, now)
        if (run.get("spec") or {}).get("terminate"):
            assess.finish(run, new, now, stopped=True)
        else:
            self._collect(run, new, now)
            assess.finish(run, new, now)
            if new.get("phase") == "Running":
                self._launch(run, new, now, version)
        change = difference(old, new)
        if not change:
            return []
        return [Write("analysisruns", namespace_of(run), name_of(run), "patch", {"status": change})]

    def _collect(self, run: Object, status: Object, now: datetime) -> None:
        for metric in assess.metrics_of(run):
            task = (str(meta(run)["uid"]), str(metric["name"]))
            with self._lock:
                measured = self._results.pop(task, None)
                began = self._under_way.pop(task, None) if measured is not None else None
            if measured is None:
                continue
            told: Object = {
                "phase": measured.phase,
                "startedAt": rfc3339(began or now),
                "finishedAt": rfc3339(now),
            }
            told |= {"value": measured.value} if measured.value else {}
            told |= {"message": measured.message} if measured.message else {}
            assess.add_measurement(status, metric, told, measured.metadata)

    def _launch(self, run: Object, status: Object, now: datetime, version: str) -> None:
        args = (run.get("spec") or {}).get("args") or []
        for metric in assess.metrics_of(run):
            task = (str(meta(run)["uid"]), str(metric["name"]))
            with self._lock:
                if task in self._under_way or not _due(metric, status, now):
                    continue
                self._under_way[task] = now
            resolved = fill_in(metric, args)
            if not self._is_silent(resolved):
                thread = threading.Thread(target=self._measure, args=(task, resolved, version), daemon=True)
                self._threads = [*(one for one in self._threads if one.is_alive()), thread]
                thread.start()

    def _measure(self, task: _Task, metric: Object, version: str) -> None:
        measured = measure(metric, version)
        with self._lock:
            if not self._ended:
                self._results[task] = measured

    def _is_silent(self, metric: Object) -> bool:
        provider = metric.get("provider") or {}
        address = (provider.get("prometheus") or {}).get("address") or (provider.get("web") or {}).get("url") or ""
        return any(str(address).startswith(one) for one in self.silent)


def _due(metric: Object, status: Object, now: datetime) -> bool:
    result = assess.result_of(status, metric["name"])
    if result is None:
        return now >= moment(status["startedAt"]) + timedelta(seconds=duration(metric.get("initialDelay")) or 0.0)
    if result.get("phase") != "Running":
        return False
    last = result["measurements"][-1]
    gap = interval(metric, after_error=last["phase"] == "Error")
    return gap is not None and now >= moment(last["finishedAt"]) + timedelta(seconds=gap)
