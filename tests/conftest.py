"""What every test may ask for: a database of its own on both kinds; and the rule that nothing is skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.room import new_folder

BOTH = ("sqlite", "postgresql")
ROUNDS, CLUSTER_ROUNDS = 12, 60
LONG = {
    *("test_lies.py", "test_deaths.py", "test_bad_days.py", "test_somebody.py", "test_races.py"),
    *("test_cluster_races.py", "test_cluster_woken.py"),
}
"""Files whose tests take minutes: they begin first, or one worker still plays them when the others have nothing left."""


# ---- files ----


def pytest_configure(config: pytest.Config) -> None:
    """Temporary folders on the quickest place, unless --basetemp says otherwise; races on the real control plane play more."""
    if config.option.rounds is None:
        config.option.rounds = CLUSTER_ROUNDS if config.option.markexpr == "cluster" else ROUNDS
    if config.option.basetemp is None and not hasattr(config, "workerinput"):
        folder = new_folder("rt-")
        config.option.basetemp = str(folder / "t")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_addoption(parser: pytest.Parser) -> None:
    """--rounds: how many rounds a race plays; few in the suite, many on demand."""
    said = f"rounds of each race (default {ROUNDS}, on the real control plane {CLUSTER_ROUNDS})"
    parser.addoption("--rounds", type=int, help=said)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first; in their order otherwise."""
    items.sort(key=lambda item: item.path.name not in LONG)


# ---- databases ----


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The server that `./ripcord test` started, or one of this session's own."""
    if given := os.environ.get(postgres.VARIABLE):
        yield given
        return
    folder = postgres.programs()
    if folder is None:
        pytest.fail(f"PostgreSQL is missing: install Debian's {postgres.PACKAGE} or set {postgres.VARIABLE}")
    with postgres.running(folder) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'ripcord.db'}"


@pytest.fixture
def postgresql_url(postgresql_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database, dropped after the test."""
    with postgres.database(postgresql_server, _name(request)) as url:
        yield url


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind: the test runs twice."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from server import migrate

    path = tmp_path_factory.mktemp("migrated") / "ripcord.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _migrated_postgresql(postgresql_server: str) -> Iterator[str]:
    from server import migrate

    name = f"ripcord_{os.getpid()}_template"
    with postgres.database(postgresql_server, name) as url:
        migrate.upgrade(url)
        yield name


@pytest.fixture
def migrated_sqlite_url(_migrated_sqlite: Path, tmp_path: Path) -> str:
    """A SQLite file with this version's tables."""
    return f"sqlite:///{shutil.copy(_migrated_sqlite, tmp_path / 'ripcord.db')}"


@pytest.fixture
def migrated_postgresql_url(
    postgresql_server: str, _migrated_postgresql: str, request: pytest.FixtureRequest
) -> Iterator[str]:
    """A PostgreSQL database with this version's tables."""
    with postgres.database(postgresql_server, _name(request), template=_migrated_postgresql) as url:
        yield url


@pytest.fixture(params=BOTH)
def migrated_url(request: pytest.FixtureRequest) -> str:
    """A database of each kind with this version's tables: the test runs twice. Quicker than migrating each time."""
    return str(request.getfixturevalue(f"migrated_{request.param}_url"))


_made = 0


def _name(request: pytest.FixtureRequest) -> str:
    global _made
    _made += 1
    return f"ripcord_{os.getpid()}_{_made}"


# ---- nothing is skipped: what cannot run is a failure, or is no test ----

_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Skips and expected failures alike (the latter report themselves as skipped)."""
    if report.skipped or hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A whole file that skips itself."""
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A run with a skip is a failed run."""
    if _skipped and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says why a green-looking run failed."""
    if _skipped:
        terminalreporter.write_line(f"failed: {len(_skipped)} skipped, and nothing may be: {', '.join(_skipped[:10])}")
