"""The only file that knows the workflow library. A handful of verbs: step, sleep, wait, tell, start.

A story is an async function of (durable, argument) that only waits and calls steps: no clock, no chance, no I/O of its own, because
after a crash it is replayed from the recorded results. A step's result is JSON. A step that raises is a bug and comes back as `Bug`,
the same after a replay; a database that is away is waited for inside the step. What died between an effect and its record runs
again: `me` (new at each start of a process) lets a step see that an earlier process had already come this far.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, ParamSpec, Protocol, TypeVar

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID
from dbos import error as dbos_error

from server import db
from server.engine.lane import Lane
from server.errors import Bug, Unfit

P = ParamSpec("P")
R = TypeVar("R")
Json = Any
log = logging.getLogger("ripcord.engine")

NAME, VERSION, EXECUTOR = "ripcord", "1", "local"
"""Stored with every run and never changed: a run under another version or executor would not be taken up again."""
READ_ONLY = "25006"
"""PostgreSQL's word for a transaction that may only read."""


def is_away(error: Exception) -> bool:
    """Whether the database, not the step, is to blame: it does not answer, has no connection free in time, or only reads (a standby)."""
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.TimeoutError):
        return True
    return isinstance(error, sa.exc.DBAPIError) and getattr(error.orig, "sqlstate", None) == READ_ONLY


class Ending(BaseException):
    """This process is being ended in the middle of a step. No Exception: the library would record that as the step's result, and
    the workflow as over, and nobody would take it up again."""


class Verbs(Protocol):
    """What a story may ask of the engine."""

    @property
    def workflow(self) -> str:
        """The id of this workflow."""
        ...

    async def step(self, name: str, do: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Does it once and records its JSON result under this name; after a crash, the record or once more."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits durably, holding no thread."""
        ...

    async def wait(self, topic: str, seconds: float) -> Json | None:
        """The next message on a topic, or None when the time is up."""
        ...

    async def tell(self, workflow: str, topic: str, message: Json) -> None:
        """Sends a message to a workflow that exists."""
        ...

    async def start(self, story: str, workflow: str, argument: Json) -> None:
        """Starts a story under an id; an id that exists is left alone."""
        ...


Story = Callable[[Verbs, Json], Awaitable[Json]]


class Durable:
    """The verbs, inside one workflow."""

    def __init__(self, engine: Engine, workflow: str, lane: Lane | None) -> None:
        self.engine, self.lane = engine, lane
        self._workflow = workflow
        self._unfit = False

    @property
    def workflow(self) -> str:
        """The id of this workflow."""
        return self._workflow

    async def step(self, name: str, do: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """One checkpoint."""

        def body() -> dict[str, Json]:
            return self.engine.patiently(name, lambda: do(*args, **kwargs))

        result = await self._fits(lambda: DBOS.run_step_async({"name": name}, body))
        if "bug" in result:
            raise Bug(result["bug"])
        return result["is"]  # type: ignore[no-any-return]

    async def sleep(self, seconds: float) -> None:
        """A durable timer."""
        self._rest(seconds)
        await self._fits(lambda: DBOS.sleep_async(max(seconds, 0.0)))

    async def wait(self, topic: str, seconds: float) -> Json | None:
        """A durable message box."""
        self._rest(seconds)
        return await self._fits(lambda: DBOS.recv_async(topic, timeout_seconds=seconds))

    def _rest(self, seconds: float) -> None:
        if seconds > 0.5:  # who waits for long lets others in
            self.engine.over(self._workflow)
            if self.lane is not None:
                self.lane.leave(self._workflow)

    async def tell(self, workflow: str, topic: str, message: Json) -> None:
        """A durable message."""
        await self._fits(lambda: DBOS.send_async(workflow, message, topic))

    async def start(self, story: str, workflow: str, argument: Json) -> None:
        """A workflow of its own, not waited for."""

        async def begin() -> None:
            with SetWorkflowID(workflow):
                await DBOS.start_workflow_async(_generic(), story, argument)

        await self._fits(begin)

    async def _fits(self, ask: Callable[[], Awaitable[R]]) -> R:
        """Where another version's record does not fit, the story hears so once, and what it asks for then comes behind that record:
        so it can still be brought to its end. Left to the library, its run would stand under way for ever."""
        while True:
            try:
                return await ask()
            except dbos_error.DBOSUnexpectedStepError as error:
                if not self._unfit:
                    self._unfit = True
                    raise Unfit("another version of Ripcord began this") from error


class Engine:
    """Executes stories in this process: exactly one such process on a database (see `lock.py`)."""

    def __init__(
        self,
        url: str,
        stories: Mapping[str, Story],
        *,
        poll: float = 0.2,
        lanes: Mapping[str, int] | None = None,
        storm: Callable[[], bool] = lambda: False,
    ) -> None:
        self.url, self.stories, self.poll = url, stories, poll
        self.lanes = {story: Lane(size, storm) for story, size in (lanes or {}).items()}
        self.me = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.alive = False
        self._own: sa.Engine | None = None
        self._stopping = threading.Event()
        self._ended: dict[str, Callable[[], None]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stories", daemon=True)

    def launch(self) -> None:
        """Starts executing; what an earlier process left unfinished is taken up at once."""
        global _current
        _current = self
        _generic()
        config: DBOSConfig = {
            "name": NAME,
            "system_database_url": self.url,
            "application_version": VERSION,
            "executor_id": EXECUTOR,
            "serializer": DBOSPortableJSONSerializer(),
            "max_executor_threads": 64,
            "sys_db_pool_size": 20,
            "notification_listener_polling_interval_sec": self.poll,
            "run_migrations": True,
            "log_level": "WARNING",
            "db_engine_kwargs": dict(db.QUIET),
        }
        if db.is_sqlite(self.url):  # its writers line up with ours: see turn.py
            self._own = config["system_database_engine"] = db.embedded(self.url)
        DBOS(config=config)
        DBOS.launch()
        self._thread.start()
        self.alive = True

    def stop(self, seconds: int = 2) -> None:
        """Ends executing; what is under way is taken up at the next launch."""
        self._stopping.set()
        self.alive = False
        DBOS.destroy(workflow_completion_timeout_sec=seconds)
        if self._own is not None:
            self._own.dispose()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def start(self, story: str, workflow: str, argument: Json, ended: Callable[[], None]) -> None:
        """Starts a story from outside any story and returns when it is recorded.

        ended: called once, when it no longer runs here or waits for long: its place is free then.
        """
        asyncio.run_coroutine_threadsafe(self._start(story, workflow, argument, ended), self._loop).result(30)

    async def _start(self, story: str, workflow: str, argument: Json, ended: Callable[[], None]) -> None:
        self._ended[workflow] = ended
        try:
            with SetWorkflowID(workflow):
                handle = await DBOS.start_workflow_async(_generic(), story, argument)
        except BaseException:
            self.over(workflow)
            raise
        if "Polling" in type(handle).__name__:  # the id exists: it runs elsewhere, or is over
            self.over(workflow)

    def over(self, workflow: str) -> None:
        """A workflow left this process."""
        if ended := self._ended.pop(workflow, None):
            ended()

    def patiently(self, name: str, do: Callable[[], Json]) -> dict[str, Json]:
        """Runs a step's body. A database that is away or full is waited for; any other exception is a bug, as a value."""
        pause = 0.1
        while True:
            try:
                return {"is": do()}
            except Exception as error:
                if self._stopping.is_set():
                    raise Ending(name) from error
                if not is_away(error):
                    log.exception("step %s: a bug", name)
                    return {"bug": f"{name}: {type(error).__name__}"}
                log.warning("step %s: the database does not answer (%s), trying again", name, type(error).__name__)
            self._stopping.wait(pause)
            pause = min(pause * 2, 5.0)


_current: Engine | None = None
_registered: list[Callable[[str, Json], Coroutine[Any, Any, Json]]] = []


def _generic() -> Callable[[str, Json], Coroutine[Any, Any, Json]]:
    """The one workflow function: it looks its story up and tells it."""
    if not _registered:

        @DBOS.workflow(name=NAME, max_recovery_attempts=1000)
        async def ripcord(story: str, argument: Json) -> Json:
            engine, workflow = _current, str(DBOS.workflow_id)
            if engine is None:
                raise Bug("a workflow without an engine")
            lane = engine.lanes.get(story)
            try:
                if lane is not None:
                    await lane.enter(workflow)
                return await engine.stories[story](Durable(engine, workflow, lane), argument)
            finally:
                if lane is not None:
                    lane.leave(workflow)
                engine.over(workflow)

        _registered.append(ripcord)
    return _registered[0]
