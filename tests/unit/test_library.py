"""Runbooks from disk: what is read, and for everything wrong the file, the line and what was expected."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from server import bootstrap
from server.errors import Misconfigured
from server.library import Shelf, load
from tests.support.processes import ROOT

RUNBOOK = """\
version: 1
owner: platform
teams: all
summary: Abort a canary that hurts.
mode: auto
when:
  events: [incident.triggered]
  any:
    - alert: {deployment_type: canary}
target: {kind: rollout, strategy: canary}
max_age: 15m
steps:
  - action: abort_rollout
    with: {when_promoted: refuse}
verify:
  - {check: rollout_traffic_on_stable, within: 60s, settle: 5s}
on_failure: tell
"""
CATALOG = """\
version: 1
targets:
  web-frontend:
    kind: rollout
    strategy: canary
    team: web
    namespace: production
    name: web-frontend
    pagerduty_services: [PCANARY]
    named_by: {rollout: web-frontend}
    cooldown: 30m
"""


RUNBOOK_KEYS = (
    "after_proof, max_age, mode, on_failure, owner, steps, summary, target, teams, tell, verify, version, when"
)
ROLLOUT_KEYS = "budgets, cluster, cooldown, kind, mode, name, named_by, namespace, pagerduty_services, strategy, team"
ACTIONS = "abort_rollout, disable_flag, resolve_incident, switch_blue_green_back"


class Folder:
    """A runbooks folder that can be spoilt in one place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("x.yaml", RUNBOOK)
        self.write("targets.yaml", CATALOG)

    def write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text, encoding="utf-8")

    def spoil(self, name: str, old: str, new: str) -> None:
        text = (self.path / name).read_text(encoding="utf-8")
        assert text.count(old) == 1
        self.write(name, text.replace(old, new))

    def errors(self) -> list[str]:
        with pytest.raises(Misconfigured) as caught:
            load(self.path, bootstrap.known())
        return [line.replace(f"{self.path}/", "") for line in caught.value.said.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_the_shipped_runbooks_are_read() -> None:
    library = load(ROOT / "runbooks", bootstrap.known())
    assert [book.name for book in library.runbooks] == ["abort-canary", "disable-flag", "switch-blue-green-back"]
    assert {book.mode for book in library.runbooks} == {"auto"}
    assert set(library.catalog.targets) == {"web-frontend", "api-backend", "new-checkout"}


def test_a_runbook_has_its_files_name_and_the_hash_of_its_bytes(folder: Folder) -> None:
    (book,) = load(folder.path, bootstrap.known()).runbooks
    assert (book.name, book.source) == ("x", RUNBOOK)
    assert book.hash == hashlib.sha256(RUNBOOK.encode()).hexdigest()


def test_durations_are_seconds_and_what_is_absent_has_its_default(folder: Folder) -> None:
    library = load(folder.path, bootstrap.known())
    (book,), target = library.runbooks, library.catalog.targets["web-frontend"]
    assert (book.max_age, book.verify[0].within, book.verify[0].settle) == (900.0, 60.0, 5.0)
    assert (target.mode, target.cooldown) == ("observe", 1800.0)


def test_runbooks_stand_in_the_order_of_their_file_names(folder: Folder) -> None:
    for name in ("b.yaml", "a.yaml", "a-b.yaml"):
        folder.write(name, RUNBOOK)
    assert [book.name for book in load(folder.path, bootstrap.known()).runbooks] == ["a-b", "a", "b", "x"]


def test_off_is_a_text(folder: Folder) -> None:
    folder.spoil("x.yaml", "mode: auto", "mode: off")
    assert load(folder.path, bootstrap.known()).runbooks[0].mode == "off"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("mode: auto", "mode: autoo", "x.yaml:5: mode: expected 'off', 'observe', 'approve' or 'auto'"),
        ("mode: auto", "moed: auto",
         f"x.yaml:5: moed: unknown key 'moed': expected one of {RUNBOOK_KEYS}"),
        ("  events:", "  evnts: []\n  events:", "x.yaml:7: when.evnts: unknown key 'evnts': expected one of any, events"),
        ("incident.triggered", "incident.trigger",
         "x.yaml:7: when.events.0: expected an incident event of PagerDuty's v3 webhooks, for example 'incident.triggered'"),
        ("owner: platform\n", "", "x.yaml:1: owner: key 'owner' is missing"),
        ("max_age: 15m", "max_age: 15", "x.yaml:11: max_age: expected digits and ms, s, m, h or d (for example 15m)"),
        ("max_age: 15m", "max_age: 15 m", "x.yaml:11: max_age: expected digits and ms, s, m, h or d (for example 15m)"),
        ("max_age: 15m", "max_age: 0s", "x.yaml:11: max_age: expected greater than 0"),
        ("action: abort_rollout", "action: abort_rolout",
         f"x.yaml:13: unknown action 'abort_rolout': expected one of {ACTIONS}"),
        ("when_promoted: refuse", "when_promoted: maybe", "x.yaml:14: steps.0.with.when_promoted: expected 'refuse' or 'undo'"),
        ("when_promoted: refuse", "namespace: other",
         "x.yaml:14: steps.0.with.namespace: unknown key 'namespace': expected one of promoted_within, skip_gates, when_promoted"),
        ("rollout_traffic_on_stable", "traffic",
         "x.yaml:16: unknown check 'traffic': expected one of flag_is_off, rollout_promoted_back, rollout_traffic_on_stable"),
        ("on_failure: tell", "on_failure: put_back",
         "x.yaml:17: on_failure: put_back cannot be: abort_rollout cannot be taken back, expected tell"),
        ("kind: rollout, strategy: canary", "kind: pod", "x.yaml:10: target.kind: expected 'rollout', 'flag', 'service' or 'canary'"),
        ("kind: rollout, strategy", "kind: flag, strategy", "x.yaml:10: target: expected no strategy: only a rollout has one"),
        ("- alert: {deployment_type: canary}", "- {}", "x.yaml:9: when.any.0: expected at least one line: alert or workflow"),
        ("deployment_type: canary", "deployment_type: 5", "x.yaml:9: when.any.0.alert.deployment_type: expected a text or a list of texts (in quotes where YAML would read something else)"),
        ("version: 1", "version: 2", "x.yaml:1: version: expected 1"),
        ("version: 1", "version: true", "x.yaml:1: version: expected 1"),
        ("teams: all", "teams: some", "x.yaml:3: teams: expected 'all' or a list of teams"),
        ("mode: auto", "mode: auto\nmode: off", "x.yaml:6: key 'mode' stands twice"),
        ("mode: auto", "mode: !!python/object:os.system auto", "x.yaml:5: tag 'tag:yaml.org,2002:python/object:os.system' is not allowed here"),
        ("mode: auto", "mode: [auto", "x.yaml:6: is not YAML: expected ',' or ']', but got ':'"),
        ("owner: platform", "owner: 12", "x.yaml:2: owner: expected text (in quotes where YAML would read something else)"),
        ("steps:\n  - action: abort_rollout\n    with: {when_promoted: refuse}", "steps: {}", "x.yaml:12: steps: expected a list"),
    ],
)  # fmt: skip
def test_an_error_in_a_runbook_names_file_line_and_what_was_expected(
    folder: Folder, old: str, new: str, said: str
) -> None:
    folder.spoil("x.yaml", old, new)
    assert folder.errors() == [said]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    kind: rollout\n", "    kind: rolout\n",
         "targets.yaml:3: targets.web-frontend: expected 'rollout', 'flag', 'service', 'canary'"),
        ("    team: web\n", "", "targets.yaml:3: targets.web-frontend.team: key 'team' is missing"),
        ("[PCANARY]", "[Canary Service]",
         "targets.yaml:9: targets.web-frontend.pagerduty_services.0: expected text that fits ^[A-Za-z0-9]+$"),
        ("cooldown: 30m", "cooldwn: 30m",
         f"targets.yaml:11: targets.web-frontend.cooldwn: unknown key 'cooldwn': expected one of {ROLLOUT_KEYS}"),
        ("    name: web-frontend", "    rollout: web-frontend",
         "targets.yaml:3: targets.web-frontend.name: key 'name' is missing"),
        ("{rollout: web-frontend}", "{}",
         "targets.yaml:10: targets.web-frontend.named_by: expected at least one entry"),
    ],
)  # fmt: skip
def test_an_error_in_the_catalog_names_file_line_and_what_was_expected(
    folder: Folder, old: str, new: str, said: str
) -> None:
    folder.spoil("targets.yaml", old, new)
    assert folder.errors()[0] == said


@pytest.mark.parametrize("name", ["a/b", "' web'", '"we\\tb"', "''", "w" * 101])
def test_a_targets_name_has_no_slash_control_characters_or_edge_spaces_and_100_characters_at_most(
    folder: Folder, name: str
) -> None:
    folder.spoil("targets.yaml", "  web-frontend:\n", f"  {name}:\n")
    (error,) = folder.errors()
    assert error.startswith("targets.yaml:3: targets.")
    assert "expected" in error


@pytest.mark.parametrize("name", ["web frontend", "Wéb (prod) é", "w" * 100])
def test_any_other_text_may_name_a_target(folder: Folder, name: str) -> None:
    folder.spoil("targets.yaml", "  web-frontend:\n", f"  {name}:\n")
    assert set(load(folder.path, bootstrap.known()).catalog.targets) == {name}


def test_every_error_of_every_file_is_named_in_one_go(folder: Folder) -> None:
    folder.spoil("x.yaml", "mode: auto", "mode: autoo")
    folder.spoil("x.yaml", "max_age: 15m", "max_age: soon")
    folder.spoil("targets.yaml", "cooldown: 30m", "cooldown: later")
    assert [error.split(": ")[0] for error in folder.errors()] == ["targets.yaml:11", "x.yaml:5", "x.yaml:11"]


def test_without_a_catalog_nothing_is_read(folder: Folder) -> None:
    (folder.path / "targets.yaml").unlink()
    assert folder.errors() == ["targets.yaml:1: cannot be read (No such file or directory)"]


def test_a_file_with_the_wrong_ending_is_not_overlooked(folder: Folder) -> None:
    folder.write("second.yml", RUNBOOK)
    assert folder.errors() == ["second.yml:1: would not be read: expected the ending .yaml"]


def test_an_editors_hidden_file_is_left_alone(folder: Folder) -> None:
    folder.write(".x.yaml", "half wri")
    assert len(load(folder.path, bootstrap.known()).runbooks) == 1


def test_a_link_out_of_the_folder_is_refused(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "y.yaml"
    outside.write_text(RUNBOOK, encoding="utf-8")
    (folder.path / "y.yaml").symlink_to(outside)
    assert folder.errors() == [f"y.yaml:1: leads out of {folder.path}: expected a file inside it"]


def test_links_inside_the_folder_are_how_kubernetes_mounts_files(folder: Folder) -> None:
    (folder.path / "..2026").mkdir()
    shutil.move(folder.path / "x.yaml", folder.path / "..2026" / "x.yaml")
    (folder.path / "x.yaml").symlink_to(Path("..2026/x.yaml"))
    assert [book.name for book in load(folder.path, bootstrap.known()).runbooks] == ["x"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x" * (256 * 1024 + 1), "x.yaml:1: is larger than 256 KiB"),
        ("a: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n" + "\n".join(
            f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]" for before, name in zip("bcdef", "cdefg", strict=True)),
         "x.yaml:1: holds too much, or is nested too deeply"),
        ("a: &a [*a]", "x.yaml:1: holds too much, or is nested too deeply"),
        ("[" * 100_000, "x.yaml:1: is not YAML (RecursionError)"),
        ("\x00", None),
        ("", None),
        ("- a\n- list", None),
    ],
    ids=["too big", "a bomb of aliases", "an alias of itself", "too deep", "NUL", "empty", "a list"],
)  # fmt: skip
def test_a_file_that_is_no_runbook_at_all_is_one_clear_line(folder: Folder, text: str, said: str | None) -> None:
    folder.write("x.yaml", text)
    (error,) = folder.errors()
    assert error.startswith("x.yaml:1: ")
    assert said in (None, error)


# The shelf ------------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        self.at += 2.0
        return self.at


def shelf_of(folder: Folder) -> Shelf:
    return Shelf(folder.path, bootstrap.known(), Clock())


def test_a_changed_file_is_read_anew(folder: Folder) -> None:
    shelf = shelf_of(folder)
    assert shelf.current().runbooks[0].mode == "auto"
    folder.spoil("x.yaml", "mode: auto", "mode: observe")
    assert shelf.current().runbooks[0].mode == "observe"


def test_a_new_file_is_read(folder: Folder) -> None:
    shelf = shelf_of(folder)
    assert len(shelf.current().runbooks) == 1
    folder.write("y.yaml", RUNBOOK)
    assert len(shelf.current().runbooks) == 2


def test_the_last_good_set_stays_while_a_file_is_wrong_and_the_problem_is_named(folder: Folder) -> None:
    shelf = shelf_of(folder)
    good = shelf.current()
    folder.spoil("x.yaml", "mode: auto", "mode: autoo")
    assert shelf.current() == good
    assert shelf.problem == f"{folder.path}/x.yaml:5: mode: expected 'off', 'observe', 'approve' or 'auto'"
    folder.spoil("x.yaml", "mode: autoo", "mode: observe")
    assert shelf.current().runbooks[0].mode == "observe"
    assert shelf.problem is None


def test_a_folder_that_vanishes_leaves_the_last_good_set(folder: Folder) -> None:
    shelf = shelf_of(folder)
    good = shelf.current()
    shutil.rmtree(folder.path)
    assert shelf.current() == good
    assert shelf.problem is not None


def test_a_set_that_never_was_good_is_an_error(folder: Folder) -> None:
    folder.spoil("x.yaml", "mode: auto", "mode: autoo")
    with pytest.raises(Misconfigured, match=r"x\.yaml:5"):
        shelf_of(folder).current()


def test_only_where_a_good_set_stays_the_log_says_that_it_stays(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = shelf_of(folder)
    folder.spoil("x.yaml", "mode: auto", "mode: autoo")
    with pytest.raises(Misconfigured):
        shelf.current()
    assert caplog.messages == []
    folder.spoil("x.yaml", "mode: autoo", "mode: auto")
    shelf.current()
    folder.spoil("x.yaml", "mode: auto", "mode: autoo")
    shelf.current()
    assert [said.partition(":")[0] for said in caplog.messages] == [
        "the runbooks on disk are wrong, the last good set stays"
    ]


def test_a_change_of_the_same_length_in_the_same_second_is_seen(folder: Folder) -> None:
    shelf = shelf_of(folder)
    shelf.current()
    stamp = (folder.path / "x.yaml").stat().st_mtime_ns
    folder.spoil("x.yaml", "settle: 5s", "settle: 6s")
    os.utime(folder.path / "x.yaml", ns=(stamp + 1, stamp + 1))
    assert shelf.current().runbooks[0].verify[0].settle == 6.0
