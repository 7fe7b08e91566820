"""`bench --runbooks`: each shipped runbook from the alert to its proof, hop by hop, and every request on the way.

Method. Each story has a sandbox, a `serve` and a SQLite database of its own, all fresh, with the shipped runbooks and catalog; all on
this machine, one story after the other. *abort*: the canary of `web-frontend` at 25 %. *switch back*: `api-backend` is active on the
new version, its check after the promotion runs on. *disable flag*: `new-checkout`. Three more, for their requests: *with its Service*
(the same, paused by a person, so that Ripcord writes the Service too), *undo* (the new version is stable already), *flag, resolved*
(the shipped runbook with `after_proof: resolve_incident`).

All moments are seconds since right before the event was sent to PagerDuty, by one clock, median of the rounds. They come from what
there is anyway: the sandbox's log (a request's row is stamped when it was read), the audit rows, the engine's steps with begin and
end (which are stored in milliseconds), the outcome's own time. What the controller did is seen from outside, by looking each 20 ms at
a controller that acts each 200 ms; it can therefore stand below what Ripcord saw before. A flag has no controller.

*Least* is what the proof cannot do without: one look to decide, two to prove (the second after the settle time), each with the
Rollout and its active Service read once more at its end; the patches; the incident and its alerts to decide and again right before
the first write; the note and its last word. What is above it: a look of a new version that changed a moment ago is repeated, the look
right before a write of the Service and the look after each write, looks while it does not stand yet; in each look what only words a
reason or a warning (the Lease, the AnalysisRuns, the canary's Service, a flag's scheduled changes and dependents); the incident once
more for the note's last word: who resolved it meanwhile.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
import urllib3

from bench.hops import Played, Span, report
from bench.page import cores, say
from bench.planes import moment
from bench.processes import ROOT, free_port, started, wait_ready
from bench.scene import Scene, sandbox
from bench.stories import STORIES, Stage, Story, application
from server import db
from server.audit.tables import audit
from server.core.run import Report, RunSpec
from server.core.states import FINAL
from server.store.tables import runs

PATIENCE = 90.0
SETTLED = 1.0
"""Seconds that a new server is given to look at its targets, which it does at its start and then each minute."""


def main(rounds: int) -> int:
    """Prints the page."""
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(143))  # what was started ends with us
    say(f"Ripcord bench --runbooks: {rounds} rounds of each story, SQLite, all in one process, {cores()} cores")
    played: dict[str, list[Played]] = {}
    with application() as url:
        for number in range(rounds):
            for story in STORIES:
                print(f"ripcord bench: round {number + 1} of {rounds}: {story.name}", file=sys.stderr, flush=True)
                played.setdefault(story.name, []).append(alone(story, url))
    report(STORIES, played)
    say()
    say((__doc__ or "").partition("\n\n")[2].strip())
    return 0 if all(one.state == "proven" for rounds_ in played.values() for one in rounds_) else 1


def alone(story: Story, url: str) -> Played:
    """One story in a world of its own."""
    with tempfile.TemporaryDirectory(prefix="ripcord-bench-") as name, _town(Path(name), story) as (scene, database):
        time.sleep(SETTLED)
        stage = Stage(scene, url)
        story.prepare(stage)
        return _play(stage, story, database)


@contextmanager
def _town(folder: Path, story: Story) -> Iterator[tuple[Scene, str]]:
    """The vendors and Ripcord."""
    port, database, log = free_port(), f"sqlite:///{folder / 'ripcord.db'}", folder / "server.log"
    with sandbox(folder, f"http://127.0.0.1:{port}/webhooks/pagerduty") as scene:
        own = {
            "RIPCORD_DATABASE_URL": database,
            "RIPCORD_LISTEN": f"127.0.0.1:{port}",
            "RIPCORD_RUNBOOKS": str(_runbooks(folder / "runbooks", story)),
            "RIPCORD_SECRET_KEY": "b" * 32,
        }
        with started(["-m", "server", "serve"], {**scene.settings, **own}, log) as process:
            wait_ready(f"http://127.0.0.1:{port}/readyz", process, log)
            yield scene, database


def _runbooks(folder: Path, story: Story) -> Path:
    shutil.copytree(ROOT / "runbooks", folder)
    if story.after_proof:
        with (folder / f"{story.runbook}.yaml").open("a", encoding="utf-8") as file:
            file.write(f"after_proof: [{{action: {story.after_proof}}}]\n")
    return folder


def _play(stage: Stage, story: Story, database: str) -> Played:
    """From the alert to the note's last word."""
    seen: dict[str, float] = {}
    over = threading.Event()
    if story.stands:
        threading.Thread(target=_follow, args=(stage, story, seen, over), daemon=True).start()
    first = max((row["seq"] for row in stage.scene.log()), default=0)
    one = Played(story, time.time(), seen)
    payload = {"summary": story.name, "source": "bench", "severity": "critical", "custom_details": dict(story.details)}
    event = {"routing_key": story.key, "event_action": "trigger", "dedup_key": story.name, "payload": payload}
    stage.scene.ask("POST", "/pagerduty/v2/enqueue", event)
    _until_told(one, database)
    over.set()
    one.requests = [row for row in stage.scene.log(first) if _ours(row)]
    return one


def _follow(stage: Stage, story: Story, seen: dict[str, float], over: threading.Event) -> None:
    """When each came to hold; what held before the alert counts from when it holds again."""
    held = dict.fromkeys(story.stands, True)
    with suppress(SystemExit, urllib3.exceptions.HTTPError):  # the sandbox may have ended
        for at, rollout, service in stage.looks(story):
            if over.is_set():
                return
            for name, holds in story.stands.items():
                now = holds(rollout, service)
                if now and not held[name]:
                    seen[name] = at
                held[name] = now


def _ours(row: dict[str, object]) -> bool:
    return "bench=1" not in str(row["query"]) and row["path"] != "/pagerduty/v2/enqueue"


def _until_told(one: Played, database: str) -> None:
    """Reads Ripcord's books until the note has its last word."""
    ends = time.monotonic() + PATIENCE
    engine = db.reading(database)
    try:
        while time.monotonic() < ends and not _over(one):
            time.sleep(0.2)
            _read(engine, one)
        _spans(engine, one)
    finally:
        engine.dispose()


def _over(one: Played) -> bool:
    return one.state in FINAL and any(row["tag"] == "told" and "Proof follows" not in row["said"] for row in one.rows)


def _read(engine: sa.Engine, one: Played) -> None:
    """The run, and the audit rows of its delivery."""
    with engine.connect() as connection:
        run = connection.execute(sa.select(runs)).mappings().first()
        if run is None:
            return
        spec = RunSpec.model_validate_json(run["spec"])
        query = sa.select(audit).where(audit.c.delivery == spec.delivery).order_by(audit.c.seq)
        one.rows = [dict(row) for row in connection.execute(query).mappings()]
    one.run, one.delivery = spec.id, spec.delivery
    one.state, one.said = str(run["state"]), str(run["said"])
    one.settle = sum(check.settle for check in spec.verify)
    if run["report"]:
        outcomes = Report.model_validate_json(run["report"]).outcomes
        one.answered = min((outcome.at.timestamp() for outcome in outcomes), default=None)
    received = [row for row in one.rows if row["tag"] == "delivery_received"]
    one.received = moment(json.loads(received[0]["evidence"])["received_at"]) if received else None


def _spans(engine: sa.Engine, one: Played) -> None:
    """The engine's steps, with begin and end."""
    query = sa.text(
        "SELECT workflow_uuid, function_name, started_at_epoch_ms, completed_at_epoch_ms FROM operation_outputs "
        "WHERE workflow_uuid IN (:story, :run) ORDER BY started_at_epoch_ms, function_id"
    )
    names = {"story": f"d-{one.delivery}", "run": one.run}
    with engine.connect() as connection:
        rows = connection.execute(query, names).all()
    one.spans = [Span(row[0][0], row[1], row[2] / 1000, row[3] / 1000) for row in rows if row[2] and row[3]]
