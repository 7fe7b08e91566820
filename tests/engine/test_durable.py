"""The engine's verbs in real processes that are ended in the middle, on both databases."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from server import migrate
from server.engine.durable import Engine
from tests.support.waiting import eventually


@pytest.fixture
def launch(database_url: str, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts the child process; all are ended afterwards."""
    migrate.upgrade(database_url)
    children: list[subprocess.Popen[bytes]] = []

    def start(module: str = "child") -> subprocess.Popen[bytes]:
        child = subprocess.Popen([sys.executable, "-m", f"tests.engine.{module}", database_url, str(tmp_path)])
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()


def effects(folder: Path) -> list[str]:
    file = folder / "effects"
    return file.read_text().splitlines() if file.exists() else []


def test_a_story_runs_through_its_verbs_once(launch: Callable[[], subprocess.Popen[bytes]], tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    launch()
    eventually((tmp_path / "over").exists, within=30)
    assert effects(tmp_path) == ["a", "b", "o", "c world broken: ValueError same process"]


def test_a_step_that_died_runs_again_and_a_finished_one_does_not(
    launch: Callable[[], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    child = launch()
    eventually(lambda: effects(tmp_path) == ["a", "b"], within=30)
    child.send_signal(signal.SIGKILL)
    child.wait()
    (tmp_path / "go").touch()
    launch()
    eventually(lambda: len(effects(tmp_path)) > 4, within=30)
    assert effects(tmp_path) == ["a", "b", "b", "o", "c world broken: ValueError another process"]


def test_starting_an_id_that_exists_starts_nothing(
    launch: Callable[[], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    (tmp_path / "go").touch()
    child = launch()
    eventually((tmp_path / "over").exists, within=30)
    child.send_signal(signal.SIGKILL)
    child.wait()
    before = effects(tmp_path)
    (tmp_path / "over").unlink()
    launch()
    eventually((tmp_path / "over").exists, within=30)
    assert effects(tmp_path) == before


def test_a_second_executing_process_is_refused(
    launch: Callable[[], subprocess.Popen[bytes]], tmp_path: Path, database_url: str
) -> None:
    from server.engine.lock import OneExecutor
    from server.errors import Misconfigured

    launch()
    eventually((tmp_path / "started").exists, within=30)
    waits: list[float] = []
    second = OneExecutor(database_url, waits.append)
    with pytest.raises(Misconfigured, match="another process already executes runs"):
        second.take(patience=0.0)
    second.release()


@pytest.mark.parametrize("trouble", ["database", "other"])
def test_a_story_that_is_stopped_in_a_step_that_cannot_be_done_goes_on_at_the_next_start(
    launch: Callable[..., subprocess.Popen[bytes]], tmp_path: Path, trouble: str
) -> None:
    """The library takes an exception for the step's result and the workflow for over: its run would stand under way for ever."""
    (tmp_path / "trouble").write_text(trouble)
    child = launch("stopped")
    eventually((tmp_path / "tried").exists, within=30)
    child.send_signal(signal.SIGTERM)
    child.wait(30)
    (tmp_path / "trouble").unlink()
    launch("stopped")
    eventually((tmp_path / "finished").exists, within=30)


def test_a_story_that_another_version_began_hears_so_and_is_brought_to_its_end(
    launch: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """What it asks for then comes behind the record; nothing of the record is done again."""
    (tmp_path / "version").write_text("1")
    child = launch("upgraded")
    eventually(lambda: effects(tmp_path) == ["look", "intend", "write"], within=30)
    child.kill()
    child.wait()
    (tmp_path / "version").write_text("2")
    launch("upgraded")
    eventually(lambda: len(effects(tmp_path)) == 5, within=30, what="it came to its end")
    assert effects(tmp_path)[3:] == ["Unfit: another version of Ripcord began this", "hello"]


def test_a_disk_that_is_full_for_a_while_ends_no_story(tmp_path: Path) -> None:
    """The library took it for the end of the workflow: what had been answered 202 was never decided, and no start took it up again."""
    url = f"sqlite:///{tmp_path / 'x.db'}"
    migrate.upgrade(url)
    log = tmp_path / "log"
    with log.open("w") as file:
        child = subprocess.Popen([sys.executable, "-m", "tests.engine.full", url, str(tmp_path)], stderr=file)
    try:
        eventually(lambda: (tmp_path / "step").exists(), within=30)
        (tmp_path / "full").touch()
        eventually(lambda: "full" in log.read_text().lower(), within=10, what="a write met the full disk")
        assert not (tmp_path / "finished").exists()
        (tmp_path / "full").unlink()
        eventually((tmp_path / "finished").exists, within=30, what="the story came to its end")
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("trouble", [
    sa.exc.OperationalError("SELECT 1", {}, OSError("away")),
    sa.exc.InterfaceError("SELECT 1", {}, OSError("closed")),
    sa.exc.TimeoutError("QueuePool limit of size 10 overflow 10 reached"),
    sa.exc.InternalError("INSERT", {}, psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT")),
], ids=["away", "closed", "no connection free", "a standby that only reads"])  # fmt: skip
def test_a_database_that_does_not_answer_in_time_is_waited_for_and_is_no_bug(trouble: Exception) -> None:
    troubles = [trouble, trouble]

    def step() -> str:
        if troubles:
            raise troubles.pop()
        return "done"

    engine = Engine("sqlite:///unused.db", {})
    with closing(engine._loop):  # never launched, so nobody else closes it
        assert engine.patiently("a", step) == {"is": "done"}
