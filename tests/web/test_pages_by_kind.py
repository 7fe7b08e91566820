"""What a run's page says by what the run was about: a blue-green switch back, an undo, a flag; and what it leaves out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from server.core.outcome import Call, Judged, Plan, Remarks
from server.core.run import StepSpec
from server.core.states import State
from server.db import stamp
from tests.web.rows import AT, BAD, GOOD, after, look, plan, proven, tell, unproven
from tests.web.site import Site, open_site, words

RUN = "/runs/r-0000000000000001"
BLUE_GREEN = {"kind": "rollout", "strategy": "blue-green", "namespace": "production"}
FLAG = {"kind": "flag", "name": "new-checkout", "team": "web", "project": "default", "environment": "production"}


@pytest.fixture
def site(migrated_url: str, tmp_path: Path) -> Iterator[Site]:
    """A site with somebody signed in."""
    with open_site(migrated_url, tmp_path) as opened:
        opened.sign_in()
        yield opened


def active(pod_hash: str, **more: Any) -> dict[str, Any]:
    """A look at a blue-green rollout whose active Service selects this version."""
    rest = {name: value for name, value in look(0, aborted=False).items() if name not in ("weights", "router")}
    replica_sets = [
        {"name": f"api-backend-{one}", "hash": one, "created": None, "available": 10} for one in (BAD, GOOD)
    ]
    service = {"name": "api-backend-active", "selects": pod_hash}
    return {
        **rest,
        "strategy": "blue-green",
        "active": service,
        "endpoints": {"ready": 10},
        "replica_sets": replica_sets,
        "router": {"problem": "the Rollout names none"},
        **more,
    }


def flag(*, on: bool, version: int, **more: Any) -> dict[str, Any]:
    """A look at the flag."""
    return {
        "at": stamp(AT),
        "project": "default",
        "environment": "production",
        "flag": "new-checkout",
        "safe": "off",
        "on": on,
        "version": version,
        "modified": stamp(AT - timedelta(days=1)),
        "off_variation": 1,
        "off_served": "'old' (false)",
        "rules": 2,
        "targets": 1,
        **more,
    }


def table(site: Site) -> str:
    """Before and after."""
    return words(site.page(RUN).find("table", "diff")[0].text)


# Before and after -----------------------------------------------------------------------------------------------------


def test_a_switch_back_shows_which_version_the_active_service_selects_and_speaks_of_no_canary(site: Site) -> None:
    aborted = {"abort": True, "aborted_at": "2026-11-24T03:07:15Z"}
    site.world.run(
        State.PROVEN, 1, target_spec=BLUE_GREEN, report=proven(before=active(BAD), after=active(GOOD, **aborted))
    )
    said = table(site)
    assert "Who gets the requests Service api-backend-active selects 7d9f 5c4b the stable version" in said
    assert "Ready endpoints of that version EndpointSlices behind the Service 10 of 10 10 of 10" in said
    assert "Abort status.abort not aborted aborted abortedAt 03:07:15" in said
    assert f"New version’s pods available ReplicaSet {BAD} 10 10" in said
    assert "anary" not in said
    assert "router" not in said


def test_a_service_that_still_selects_the_bad_version_is_not_called_stable_and_other_endpoints_are_counted(
    site: Site,
) -> None:
    still = active(BAD, endpoints={"ready": 7, "others": 3})
    site.world.run(State.UNPROVEN, 1, target_spec=BLUE_GREEN, report=unproven(before=active(BAD), after=still))
    said = table(site)
    assert "selects 7d9f 7d9f Ready" in said
    assert "10 of 10 7 of 10, and 3 of another" in said


def test_a_service_that_could_not_be_read_says_so_in_its_place(site: Site) -> None:
    unread = active(GOOD, active={"name": "api-backend-active", "problem": "403: forbidden"})
    site.world.run(State.UNPROVEN, 1, target_spec=BLUE_GREEN, report=unproven(before=active(BAD), after=unread))
    assert "selects 7d9f could not be read: 403: forbidden" in table(site)


def test_an_undo_shows_that_stable_and_spec_went_to_the_version_before_and_no_abort(site: Site) -> None:
    undo = plan().model_copy(update={"undo": True, "facts": {"cur": BAD, "sta": BAD, "target": GOOD}})
    was, now = active(BAD, cur=BAD, sta=BAD), active(GOOD, cur=GOOD, sta=GOOD)
    site.world.run(State.PROVEN, 1, target_spec=BLUE_GREEN, report=proven(plan=undo, before=was, after=now))
    said = table(site)
    assert "Stable version status.stableRS 7d9f 5c4b" in said
    assert "Version in spec status.currentPodHash 7d9f 5c4b" in said
    assert f"Pods of the version before the undo ReplicaSet {BAD} 10 10" in said
    assert "Abort" not in said
    facts = words(site.page(RUN).find("dl", "facts")[0].text)
    assert f"Judged {BAD} the version that the alert is about Back to {GOOD}" in facts
    assert "Undo the promoted version" in site.page(RUN).text


def test_a_flag_shows_its_switch_what_it_serves_and_what_stays_and_no_field_of_ours(site: Site) -> None:
    now = flag(on=False, version=42, modified=stamp(AT))
    site.world.run(State.PROVEN, 1, target_spec=FLAG, report=proven(before=flag(on=True, version=41), after=now))
    said = table(site)
    assert "Flag new-checkout in production, LaunchDarkly on off its safe state" in said
    assert "What it serves to whoever asks an SDK what its rules say 'old' (false)" in said
    assert "Version every change in that environment raises it 41 42" in said
    assert "Changed lastModified there 23 Nov, 03:07:14 24 Nov, 03:07:14" in said
    assert "a switch leaves them as they are 2 rules, 1 target 2 rules, 1 target" in said
    assert "passing" not in said


def test_a_flag_without_an_off_variation_says_who_decides_then(site: Site) -> None:
    was, now = (
        flag(on=on, version=n, off_variation=None, off_served="", rollout="guarded rollout")
        for on, n in ((True, 1), (False, 2))
    )
    site.world.run(State.PROVEN, 1, target_spec=FLAG, report=proven(before=was, after=now))
    said = table(site)
    assert "what its rules say no variation of its own (the default in the caller's code)" in said
    assert "Automated rollout holds the default rule guarded rollout guarded rollout" in said


def test_before_and_after_say_when_they_were_read(site: Site) -> None:
    last = {**look(0, aborted=True), "at": stamp(after(5))}
    site.world.run(State.PROVEN, 1, report=proven(after=last))
    assert "read at 03:07:14 for the plan, and last at 03:07:19" in words(site.page(RUN).text)


# The plan ------------------------------------------------------------------------------------------------------------


def flag_plan() -> Plan:
    """The one patch of a flag, with the run's id still to be put in."""
    at = "/environments/production"
    body = {
        "comment": "disabled for a PagerDuty incident (Ripcord {run})",
        "patch": [
            {"op": "test", "path": f"{at}/version", "value": 41},
            {"op": "replace", "path": f"{at}/on", "value": False},
        ],
    }
    path = "/api/v2/flags/default/new-checkout?ignoreConflicts=true"
    call = Call(method="PATCH", path=path, body=body, content_type="application/json", said="turn it off")
    return Plan(said="turn it off", calls=(call,), judged=Judged(revision="41", since=AT - timedelta(days=1)))


def test_a_flags_patch_has_one_operation_on_each_line_and_the_comment_as_it_was_sent(site: Site) -> None:
    steps = (StepSpec(action="disable_flag"),)
    site.world.run(State.PROVEN, 1, target_spec=FLAG, steps=steps, report=proven(plan=flag_plan()))
    shown = site.page(RUN).find("pre")[0].text.splitlines()
    assert shown[2:] == [
        '  {"op": "test", "path": "/environments/production/version", "value": 41},',
        '  {"op": "replace", "path": "/environments/production/on", "value": false}',
        "]}",
    ]
    assert "(Ripcord r-0000000000000001)" in shown[1]
    assert json.loads("".join(shown[1:]))["patch"][1]["value"] is False


def test_a_flags_step_and_its_proof_are_named_in_words_and_the_judged_version_has_its_day(site: Site) -> None:
    steps = (StepSpec(action="disable_flag"),)
    site.world.run(State.PROVEN, 1, target_spec=FLAG, steps=steps, report=proven(plan=flag_plan()))
    text = site.page(RUN).text
    assert "Turn the flag to its safe state" in text
    assert "Judged: version 41, there since 23 Nov, 03:07:14." in text


def test_of_a_long_operation_only_the_value_is_left_out(site: Site) -> None:
    site.world.run(State.PROVEN, 1, report=proven())
    shown = site.page(RUN).find("pre")[0].text.splitlines()
    assert '{"op": "test", "path": "/spec/template", "value": …}' in shown


def test_a_call_that_was_taken_is_done_only_where_the_run_is_proven(site: Site) -> None:
    site.world.run(State.PROVEN, 1, report=proven())
    site.world.run(State.UNPROVEN, 2, report=unproven())
    done, taken = (words(site.page(path).find("ol", "plan")[0].text) for path in (RUN, "/runs/r-0000000000000002"))
    assert done.startswith("Abort the canary Done")
    assert taken.startswith("Abort the canary Accepted")


def test_the_plan_says_how_long_the_write_and_its_first_proof_took(site: Site) -> None:
    """By the audit: intended at 0.16 s, done at 0.22 s, passed at 4.9 s."""
    delivery = site.world.delivery()
    tell(site.world, site.world.run(State.PROVEN, 1, delivery=delivery, report=proven()), delivery)
    shown = words(site.page(RUN).find("ol", "plan")[0].text)
    assert shown.startswith("Abort the canary Done in 0.06 s PATCH")
    assert "Prove that traffic is on stable Passed in 4.68 s" in shown


def test_what_follows_the_proof_stands_in_the_plan(site: Site) -> None:
    site.world.run(State.PROVEN, 1, after_proof=(StepSpec(action="resolve_incident"),), report=proven())
    shown = words(site.page(RUN).find("ol", "plan")[0].text)
    assert shown.endswith("Resolve the incident Only once it is proven. What came of it stands in the timeline.")


# Words ---------------------------------------------------------------------------------------------------------------


def test_what_to_mind_is_a_sentence_and_a_name_at_its_beginning_keeps_its_letters(site: Site) -> None:
    minds = ("until 03:12:00Z a retry makes it live", "checkout off switches off what depends on it: cart")
    remarks = Remarks(mind=minds)
    site.world.run(State.PROVEN, 1, target_spec={**FLAG, "flag": "checkout"}, report=proven(remarks=remarks))
    text = site.page(RUN).text
    assert "Until 03:12:00Z a retry makes it live." in text
    assert "Mind checkout off switches off what depends on it: cart." in text


def test_a_metric_without_a_number_is_not_called_one_against_its_limit(site: Site) -> None:
    seen = look(25, aborted=False)
    metric = {**seen["analysis"][0]["metrics"][0], "name": "health-check", "value": "{}", "required": ""}
    metric["measured"] = [["2026-11-24T03:06:40Z", "{}", "Successful"]]
    seen["analysis"] = [{**seen["analysis"][0], "metrics": [metric]}]
    site.world.run(State.PROVEN, 1, report=proven(before=seen, after=seen))
    page = site.page(RUN)
    assert "What health-check measured" in page.text
    assert "against its limit" not in page.text


def test_what_is_finished_stands_in_the_order_of_the_times_that_are_shown(site: Site) -> None:
    early, late = AT - timedelta(minutes=30), AT - timedelta(minutes=10)
    site.world.run(State.PROVEN, 1, report=proven(), target="first-over", created_at=early)
    site.world.run(State.PROVEN, 2, report=proven(), target="last-over", created_at=late)
    site.world.ended(1, AT)
    items = words(site.page("/").find("ul", "items")[0].text)
    assert items.index("first-over") < items.index("last-over")


def test_the_body_of_a_delivery_is_there_and_folded(site: Site) -> None:
    site.world.delivery(body=b'{"a": 1}')
    page = site.page("/deliveries/00000000000001")
    assert [words(one.text) for one in page.find("summary")] == ["The body as it came"]
    assert page.find("pre")[0].text == '{\n  "a": 1\n}'
