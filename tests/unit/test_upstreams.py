"""Which upstream is away, as the probe tells it; and a kubeconfig that leads nowhere, said at the start."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server import bootstrap
from server.clients.upstreams import Upstreams
from server.errors import Misconfigured
from server.settings import Settings

RUNBOOKS = Path(__file__).resolve().parent.parent.parent / "runbooks"


def test_an_upstream_is_away_since_it_first_did_not_answer_and_until_it_does() -> None:
    times = iter([datetime(2026, 11, 24, 3, 12, 34, tzinfo=UTC)])
    upstreams = Upstreams(lambda: next(times))
    upstreams.failed("pagerduty", "500")
    upstreams.failed("pagerduty", "no connection")
    assert upstreams.warnings() == ["pagerduty does not answer since 03:12:34Z: no connection"]
    upstreams.answered("pagerduty")
    assert upstreams.warnings() == []


@pytest.mark.parametrize("text", [None, "not: [a kubeconfig", "apiVersion: v1\nkind: Config\n"])
def test_a_kubeconfig_that_leads_nowhere_is_refused_before_the_start(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    settings = replace(Settings(database_url="sqlite:///x", kubeconfig=str(path)), runbooks=RUNBOOKS)
    with pytest.raises(Misconfigured, match="cluster default: the kubeconfig cannot be used"):
        bootstrap.check_kubeconfig(settings, bootstrap.shelf(settings).current())
