"""What a person reads, on both databases: every state of a run, every reason, every row; and that no text is ever obeyed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from server import db
from server.audit.tables import audit
from server.audit.tags import Tag
from server.core.outcome import Remarks
from server.core.run import Truth
from server.core.states import State
from tests.web.rows import AT, BAD, GOOD, PATH, look, plan, proven, simple, tell, unproven
from tests.web.site import Page, Site, open_site, read, words

RUN, DELIVERY = "/runs/r-0000000000000001", "/deliveries/00000000000001"
HOSTILE = "é {{7*7}} ${x} <script>alert(1)</script> \"'><img src=x onerror=alert(1)>"


@pytest.fixture
def site(migrated_url: str, tmp_path: Path) -> Iterator[Site]:
    """A site with somebody signed in."""
    with open_site(migrated_url, tmp_path) as opened:
        opened.sign_in()
        yield opened


def whole_story(site: Site) -> None:
    """A run that ended proven, with everything around it."""
    delivery = site.world.delivery(body=json.dumps({"event": {"id": "01K", "data": {"title": HOSTILE}}}).encode())
    run = site.world.run(State.PROVEN, delivery=delivery, report=proven())
    site.world.decision(
        delivery,
        "abort-canary",
        "run",
        "every condition holds",
        run=run,
        target="web-frontend",
        checked=[["event type", True, "incident.triggered"], ["mode", True, "auto"]],
    )
    reason = "deployment_type is 'canary', wanted 'blue-green'"
    site.world.decision(delivery, "switch-blue-green-back", "no", reason, checked=[["deployment_type", False, reason]])
    site.world.note(run, "QINC1", "Ripcord: web-frontend is back on stable. PROVEN in 9 s.\nWrong: error rate 8.3 %")
    site.world.join(run, "QINC7", "00000000000007")
    tell(site.world, run, delivery)


def every_state(site: Site) -> list[str]:
    """One run in each state; their pages."""
    whole_story(site)
    site.world.run(State.UNPROVEN, 2, report=unproven(), target="api-backend")
    site.world.run(State.FAILED, 3, report=unproven(state=State.FAILED, said="somebody retried"), target="search")
    site.world.run(State.REFUSED, 4, report=simple(State.REFUSED, "cool-down until 03:40:00Z"))
    site.world.run(State.OBSERVED, 5, report=simple(State.OBSERVED, plan().said), observed=True, mode="observe")
    somebody = proven(state=State.NOTHING_TO_DO, said="aborted already", plan=plan(nothing=True), outcomes=())
    site.world.run(State.NOTHING_TO_DO, 6, report=somebody)
    site.world.run(State.WAITING, 7, waiting_for="r-0000000000000001", said="waiting for r-0000000000000001")
    site.world.run(State.PLANNING, 8)
    site.world.run(State.ACTING, 9, plan=plan(), said="abort production/web-frontend")
    site.world.run(State.PROVING, 10, report=unproven(state=State.PROVING))
    return [f"/runs/r-{n:016x}" for n in range(1, 11)]


# A run ---------------------------------------------------------------------------------------------------------------


def test_a_proven_undo_names_the_version_that_has_the_traffic_and_not_the_one_that_was_stable(site: Site) -> None:
    undo = plan().model_copy(update={"undo": True, "facts": {"cur": BAD, "sta": BAD, "target": GOOD}})
    site.world.run(State.PROVEN, 1, report=proven(plan=undo))
    page = site.page(RUN)
    assert page.h1 == "Undid the promoted version of web-frontend. All traffic is back on stable 5c4b."


def test_a_proven_flag_is_told_in_words_of_a_flag_and_what_no_sdk_says_is_not_claimed(site: Site) -> None:
    flag = {"kind": "flag", "name": "new-checkout", "team": "web", "project": "default", "environment": "production"}
    held = [Truth(name=name, held=True, at=AT) for name in ("accepted", "acknowledged")]
    unseen = Truth(name="traffic", held=None, at=AT, said="new-checkout is off")
    site.world.run(State.PROVEN, 1, target_spec=flag, report=proven(truths=(*held, unseen)))
    page = site.page(RUN)
    assert page.h1.endswith("LaunchDarkly was read to prove it.")
    assert "In its safe state" in page.text
    assert "not known: SDKs that poll, and relays, follow by themselves" in page.text
    assert "Traffic on stable" not in page.text


def test_a_proven_run_says_in_one_sentence_what_was_done_and_then_why(site: Site) -> None:
    whole_story(site)
    page = site.page(RUN)
    assert page.h1 == "Aborted the canary of web-frontend. All traffic is back on stable 5c4b."
    measured = "error-rate 0.087, limit 0.05 (2 of 2 measurements failed in AnalysisRun web-frontend-7d9f6c5b84-42-2)"
    assert f"Why: {measured}, while canary 7d9f had 25 % of the traffic." in page.text
    assert (
        "Proof: controller 03:07:15Z; traffic 0 % canary, 10/10 stable. Proven 9 s after the message came." in page.text
    )
    assert "Proven" in words(page.find("section", "verdict")[0].text)
    assert page.find("section", "ok")


def test_the_four_truths_carry_the_times_at_which_they_were_read_and_the_fourth_is_grey(site: Site) -> None:
    whole_story(site)
    truths = list(site.page(RUN).find("ol", "truths")[0].text.split("\n"))
    said = words(" ".join(truths))
    assert said.startswith("Accepted 03:07:14 The API took the call Acknowledged 03:07:15")
    assert "Traffic on stable 03:07:19" in said
    assert said.endswith("It helped criteria not declared")
    tones = [one.classes for one in site.page(RUN).find("li") if one.classes & {"ok", "quiet"}][:4]
    assert tones == [{"ok"}, {"ok"}, {"ok"}, {"quiet"}]


def test_an_open_truth_is_an_empty_ring_that_says_what_is_not_known(site: Site) -> None:
    site.world.run(State.PROVING, report=unproven(state=State.PROVING))
    page = site.page(RUN)
    truths = words(page.find("ol", "truths")[0].text)
    assert "Acknowledged 03:07:59 not yet: the controller has not answered" in truths
    rings = [one for one in page.find("use") if one.given["href"] == "#i-todo"]
    assert len(rings) >= 3


def test_before_and_after_stand_side_by_side(site: Site) -> None:
    whole_story(site)
    table = words(site.page(RUN).find("table", "diff")[0].text)
    assert "Traffic to canary 7d9f status.canary.weights, verified 25 % 0 %" in table
    assert "Same, at the router VirtualService web-frontend, stable / canary 75 / 25 100 / 0" in table
    assert "Stable pods available ReplicaSet 5c4b8c9d6f 10 of 10 10 of 10" in table
    assert "Phase Rollout production/web-frontend Progressing Degraded" in table


def test_the_plan_shows_the_exact_call(site: Site) -> None:
    whole_story(site)
    calls = [one.text for one in site.page(RUN).find("pre")]
    assert calls[0].startswith(f"PATCH {PATH}\n")
    assert '{"op": "add", "path": "/status/abort", "value": true}' in calls[0]
    body = plan().calls[0].body
    assert json.loads(calls[1]) == body, "the cut value stands whole below"


def test_what_the_analysis_run_measured_is_shown_with_argos_judgement(site: Site) -> None:
    whole_story(site)
    text = site.page(RUN).text
    assert "error-rate against its limit as AnalysisRun web-frontend-7d9f6c5b84-42-2 measured it" in text
    assert "required result[0] <= 0.05" in text
    assert "03:06:40 [0.087] Failed" in text


def test_without_an_analysis_run_the_reason_is_the_alerts_own_number_and_says_so(site: Site) -> None:
    bare = {name: value for name, value in look(25, aborted=False).items() if name != "analysis"}
    site.world.run(State.PROVEN, report=proven(before=bare, after=bare))
    page = site.page(RUN)
    assert "Why: CanaryHighErrorRate, error rate 8.3 % (limit 5 %), as the alert says." in page.text
    assert not page.find("figure")


def test_the_timeline_gives_time_offset_what_who_how_row_and_hash(site: Site) -> None:
    whole_story(site)
    timeline = words(site.page(RUN).find("ol", "timeline")[0].text)
    with site.parts.reading.connect() as connection:
        done = connection.execute(sa.select(audit).where(audit.c.tag == "step_done")).one()
    wanted = f"03:07:14.522 +0.22 s Accepted 200, resourceVersion 88412911 Ripcord itself step 0 abort_rollout row {done.seq} "
    assert wanted + done.hash[:8] in timeline
    assert "PagerDuty delivered incident.triggered" in timeline
    assert timeline.index("About to write") < timeline.index("Accepted") < timeline.index("Check passed")


def test_the_facts_lead_to_the_delivery_the_incident_and_the_audit(site: Site) -> None:
    whole_story(site)
    page = site.page(RUN)
    links = {one.given["href"] for one in page.find("a")}
    assert {DELIVERY, "https://acme.pagerduty.com/incidents/QINC1", "/audit?run=r-0000000000000001"} <= links
    facts = words(page.find("dl", "facts")[0].text)
    assert "#4182 “web-frontend 5xx above 5 %”" in facts
    assert "Joined by QINC7" in facts
    assert "stands in QINC1" in facts


SAID = {
    1: ("Proven", "All traffic is back on stable 5c4b."),
    2: (
        "Not proven: a person must act",
        "Asked to abort the canary of api-backend, but nothing proves that traffic is back",
    ),
    3: ("Failed: a person must act", "Aborted the canary of search, but it did not hold: a person is needed."),
    4: ("Refused", "Ripcord did nothing to web-frontend."),
    5: ("Observed", "Ripcord only observed web-frontend: nothing was touched."),
    6: ("Already fixed", "web-frontend was fixed already, and that is proven. Ripcord sent nothing."),
    7: ("Waiting for another run", "web-frontend waits: another run has it. Nothing is touched yet."),
    8: ("Planning", "Looking at web-frontend. Nothing is touched yet."),
    9: ("Acting", "Taking web-frontend back. The proof follows."),
    10: ("Proving", "web-frontend was taken back. Whether traffic is back on stable is being read."),
}


def test_every_state_has_its_word_its_icon_and_its_sentence(site: Site) -> None:
    for n, path in enumerate(every_state(site), 1):
        page = site.page(path)
        verdict = page.find("section", "verdict")[0]
        word, sentence = SAID[n]
        assert words(verdict.text).startswith(word), path
        assert sentence in page.h1, path
        assert {one.given["href"] for one in page.find("use")}, path


def test_a_run_under_way_is_asked_for_again_every_ten_seconds_and_an_ended_one_never(site: Site) -> None:
    for n, path in enumerate(every_state(site), 1):
        refresh = [one.given for one in site.page(path).find("meta") if one.given.get("http-equiv") == "refresh"]
        assert [one["content"] for one in refresh] == (["10"] if n >= 7 else []), path


def test_refused_and_observed_runs_say_why_and_that_nothing_was_sent(site: Site) -> None:
    every_state(site)
    refused, observed = site.page("/runs/r-0000000000000004"), site.page("/runs/r-0000000000000005")
    assert "Cool-down until 03:40:00Z." in refused.text
    assert "The incident is left as it is." in refused.text
    assert "Would have: abort production/web-frontend, canary 7d9f 25 % -> 0 %, stable 5c4b." in observed.text
    assert "Not sent: observed" in observed.text
    assert not refused.find("ol", "truths")
    assert not observed.find("ol", "truths")


def test_a_run_that_found_the_work_done_names_who_did_it_and_claims_no_call(site: Site) -> None:
    every_state(site)
    text = site.page("/runs/r-0000000000000006").text
    assert "Nothing to write: aborted already at 03:07:01Z." in text


def test_a_waiting_run_names_the_run_that_it_waits_for(site: Site) -> None:
    every_state(site)
    assert (
        "It goes on when r-0000000000000001 is over, and looks afresh then."
        in site.page("/runs/r-0000000000000007").text
    )


def test_what_holds_it_up_and_what_to_mind_stand_above_the_truths_with_the_command_ready_to_take(site: Site) -> None:
    site.world.run(State.UNPROVEN, report=unproven())
    page = site.page(RUN)
    assert page.text.index("No controller has renewed since 03:06:40Z.") < page.text.index("Did it work?")
    assert page.find("pre", "take")[0].text == "kubectl -n production annotate rollout web-frontend wake=1 --overwrite"
    assert "Ripcord touches nothing more in this run. The incident is left as it is." in page.text


def test_an_abort_that_was_acknowledged_and_not_proven_was_done_and_one_that_was_not_was_only_asked_for(
    site: Site,
) -> None:
    accepted, acknowledged, traffic = unproven().truths
    seen = acknowledged.model_copy(update={"held": True})
    site.world.run(State.UNPROVEN, 1, report=unproven())
    site.world.run(State.UNPROVEN, 2, report=unproven(truths=(accepted, seen, traffic)))
    assert site.page(RUN).h1.startswith("Asked to abort the canary of web-frontend, but nothing proves")
    assert site.page("/runs/r-0000000000000002").h1.startswith("Aborted the canary of web-frontend, but nothing proves")


def test_a_run_that_ended_unproven_without_a_write_claims_no_act(site: Site) -> None:
    site.world.run(State.UNPROVEN, report=unproven(outcomes=(), plan=plan(nothing=True)))
    assert site.page(RUN).h1.startswith("Ripcord sent nothing to web-frontend, but nothing proves")


def test_a_long_timeline_folds_the_looks_that_proved_nothing_yet(site: Site) -> None:
    delivery = site.world.delivery()
    run = site.world.run(State.PROVEN, delivery=delivery, report=proven())
    for n in range(20):
        key = f"{run}/check/0/{n}/check_unknown"
        site.world.audit(1 + n, key, Tag.CHECK_UNKNOWN, f"look {n}", run=run, delivery=delivery)
    page = site.page(RUN)
    folded = [one for one in page.find("summary") if words(one.text) == "Not proven yet"]
    assert len(folded) == 20
    assert "look 19" in page.text


# A delivery ----------------------------------------------------------------------------------------------------------


def test_a_delivery_gives_every_runbooks_decision_with_its_reason(site: Site) -> None:
    whole_story(site)
    page = site.page(DELIVERY)
    assert page.h1 == "incident.triggered for #4182 started abort-canary."
    assert "1 of 2 runbooks ran" in page.text
    assert "Did not run switch-blue-green-back deployment_type is 'canary', wanted 'blue-green'" in page.text
    assert f"{RUN}" in {one.given["href"] for one in page.find("a")}
    assert "v3_hmac signature over the bytes" in page.text


@pytest.mark.parametrize(
    ("kind", "word"), [("observed", "Observed"), ("joined", "Joined"), ("braked", "Braked"), ("no", "Did not run")]
)
def test_each_kind_of_decision_has_its_word(site: Site, kind: str, word: str) -> None:
    delivery = site.world.delivery()
    site.world.decision(delivery, "abort-canary", kind, "because of this")
    items = words(site.page(DELIVERY).find("ul", "items")[0].text)
    assert items == f"{word} abort-canary because of this"


def test_a_delivery_that_starts_no_runbook_by_its_type_says_so(site: Site) -> None:
    delivery = site.world.delivery(event_type="incident.annotated")
    site.world.decision(delivery, "", "no", "no runbook starts on incident.annotated")
    page = site.page(DELIVERY)
    assert page.h1 == "incident.annotated for QINC1 starts no runbook."
    assert "No runbook starts on incident.annotated." in page.text


def test_a_delivery_that_is_not_decided_yet_says_so_and_is_asked_for_again(site: Site) -> None:
    site.world.delivery()
    page = site.page(DELIVERY)
    assert page.h1 == "incident.triggered for QINC1 is not decided yet."
    assert [one for one in page.find("meta") if one.given.get("http-equiv") == "refresh"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b'{"b":1,"a":[true,null]}', '{\n  "b": 1,\n  "a": [\n    true,\n    null\n  ]\n}'),
        (b'{"a":1,"a":2}', '{"a":1,"a":2}'),
        (b"[" * 100_000, "[" * 100_000),
        (b"not { json", "not { json"),
        (b'"\\ud800\\u0000\\u202e"', '"⟨U+D800⟩\\u0000⟨U+202E⟩"'),
        (b"\xff\x00<b>", "\ufffd⟨U+0000⟩<b>"),
        (b'{"n":1e999}', '{"n":1e999}'),
    ],
)
def test_a_body_is_shown_as_text_indented_only_where_that_hides_nothing(site: Site, raw: bytes, shown: str) -> None:
    site.world.delivery(body=raw)
    assert site.page(DELIVERY).find("pre")[0].text == shown


def test_the_headers_that_authenticate_are_on_no_page(site: Site) -> None:
    whole_story(site)
    for path in ("/", "/audit", RUN, DELIVERY):
        assert "the-signature" not in site.get(path).text


# The audit -----------------------------------------------------------------------------------------------------------


def rows_of(page: Page) -> list[int]:
    """The row numbers that a page shows, in its order."""
    return [int(one.given["id"].removeprefix("row-")) for one in page.find("tr") if "id" in one.given]


def older(page: Page) -> str | None:
    """Where the next page is."""
    return next((one.given["href"] for one in page.find("a") if one.given.get("rel") == "next"), None)


def fill(site: Site, n: int) -> None:
    """Rows of three incidents."""
    for i in range(n):
        k = i % 3
        about = {"incident": f"QINC{k}", "target": f"target-{k}", "runbook": f"runbook-{k}", "run": f"r-{k}"}
        site.world.audit(i, f"row/{i}", Tag.TOLD, f"said {i}", **about)


def test_the_audit_is_newest_first_and_its_pages_neither_repeat_nor_lose_a_row_while_new_ones_come(site: Site) -> None:
    fill(site, 120)
    path: str | None = "/audit"
    seen: list[int] = []
    while path is not None:
        page = site.page(path)
        seen += rows_of(page)
        path = older(page)
        site.world.audit(0, f"new/{len(seen)}", Tag.TOLD, "came meanwhile")
    assert seen == list(range(120, 0, -1))


@pytest.mark.parametrize("query", ["incident=QINC1", "target=target-1", "runbook=runbook-1", "run=r-1"])
def test_each_filter_keeps_the_rows_that_equal_it_through_all_pages(site: Site, query: str) -> None:
    fill(site, 180)
    first = site.page(f"/audit?{query}")
    assert older(first) is not None
    assert rows_of(first) + rows_of(site.page(str(older(first)))) == list(range(179, 0, -3))
    assert "50 shown, 98 filtered out" in first.text


def test_two_filters_must_both_hold(site: Site) -> None:
    fill(site, 30)
    assert rows_of(site.page("/audit?incident=QINC1&target=target-1")) == list(range(29, 0, -3))
    assert "No row fits." in site.page("/audit?incident=QINC1&target=target-2").text


@pytest.mark.parametrize("number", ["4182", "%234182"])
def test_an_incident_is_found_by_its_number_too(site: Site, number: str) -> None:
    whole_story(site)
    with site.parts.reading.connect() as connection:
        rows = connection.execute(sa.select(sa.func.count()).where(audit.c.incident == "QINC1")).scalar()
    assert len(rows_of(site.page(f"/audit?incident={number}"))) == rows


@pytest.mark.parametrize(
    "query",
    ["before=-1", "before=x", "before=9999999999", "target=%00", "target=%ff%fe", "incident=" + "9" * 300, "run='--"],
)
def test_a_query_that_makes_no_sense_is_answered_all_the_same(site: Site, query: str) -> None:
    fill(site, 3)
    assert site.get(f"/audit?{query}").status_code == 200


def test_a_changed_row_is_named_where_it_is_shown(site: Site) -> None:
    whole_story(site)
    assert "The audit was changed" not in site.get("/audit").text
    tamper(site, 5, said="it was somebody else")
    for path in ("/audit", RUN):
        text = site.page(path).text
        assert "The audit was changed Row 5 does not fit its hash." in text, path


def test_a_row_whose_time_was_overwritten_is_still_shown(site: Site) -> None:
    whole_story(site)
    tamper(site, 5, at="yesterday")
    for path in ("/audit", RUN):
        assert "Row 5 does not fit its hash." in site.page(path).text, path


def tamper(site: Site, seq: int, **values: str) -> None:
    """Changes a row behind the database's back, as somebody who owns the database can."""
    with site.parts.writing.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        else:
            names = connection.execute(
                sa.text("SELECT name FROM sqlite_master WHERE type='trigger' AND tbl_name='audit'")
            )
            for name in names.scalars().all():
                connection.execute(sa.text(f'DROP TRIGGER "{name}"'))
        connection.execute(sa.update(audit).where(audit.c.seq == seq).values(**values))


def test_weaker_authentication_is_named_as_weaker(site: Site) -> None:
    site.world.audit(0, "a", Tag.DECIDED, "pressed", actor="Jon Vale", auth="header_secret", delivery="00000000000001")
    assert "Jon Vale header_secret, weaker" in site.page("/audit").text


# The first page ------------------------------------------------------------------------------------------------------


def test_an_empty_installation_says_what_to_do(site: Site) -> None:
    page = site.page("/")
    assert page.h1 == "No run yet."
    assert "./ripcord explain FILE" in page.text
    assert "No row yet" in site.page("/audit").text


def test_the_first_page_begins_with_what_needs_a_person(site: Site) -> None:
    every_state(site)
    page = site.page("/")
    assert page.h1 == "Two runs need you now. Four runs are under way."
    cards = [words(one.text) for one in page.find("section", "verdict")]
    assert cards[0].startswith("Failed: a person must act") or cards[0].startswith("Not proven: a person must act")
    assert len(cards) == 6
    assert [one for one in page.find("meta") if one.given.get("http-equiv") == "refresh"]


def test_a_target_that_was_proven_later_needs_nobody_any_more(site: Site) -> None:
    site.world.run(State.UNPROVEN, 1, report=unproven(), created_at=AT - timedelta(hours=1))
    assert site.page("/").h1 == "One run needs you now."
    site.world.run(State.PROVEN, 2, report=proven())
    assert site.page("/").h1 == "Nothing needs you, nothing is under way."


def test_what_the_stop_switch_held_back_is_on_the_first_page(site: Site) -> None:
    delivery = site.world.delivery()
    site.world.decision(delivery, "abort-canary", "braked", "stop switch: quarter close", target="web-frontend")
    text = site.page("/").text
    assert "Braked: would have run" in text
    assert "stop switch: quarter close" in text


def test_while_the_stop_switch_is_on_every_page_says_so_with_its_reason(site: Site) -> None:
    whole_story(site)
    site.parts.settings.stop_file.write_text("quarter close <b>by Ines</b>\nsecond line\n")
    for path in ("/", "/audit", RUN, DELIVERY):
        banner = words(site.page(path).find("p", "banner")[0].text)
        assert banner.startswith("Brake on: quarter close <b>by Ines</b>. Nothing new is started"), path
    site.parts.settings.stop_file.unlink()
    assert not site.page("/").find("p", "banner")


# Every page ----------------------------------------------------------------------------------------------------------


def test_without_a_session_every_page_leads_to_the_sign_in(site: Site) -> None:
    whole_story(site)
    stranger = site.app.test_client()
    for rule in site.app.url_map.iter_rules():
        if rule.endpoint.startswith("pages."):
            path = re.sub(r"<[^>]*>", "r-0000000000000001", rule.rule)
            answer = stranger.get(path)
            assert (answer.status_code, answer.headers["Location"]) == (303, "/login"), path


@pytest.mark.parametrize(
    "path", ["/runs/r-1", "/deliveries/1", "/runs/%00", "/runs/%ff", "/deliveries/" + "x" * 2000, "/runs/..%2f"]
)
def test_an_unknown_id_is_404_in_the_frame(site: Site, path: str) -> None:
    answer = site.get(path)
    assert answer.status_code == 404
    if "%2f" not in path:
        page = read(answer)
        assert page.h1.startswith("There is no such ")
        assert page.find("nav")


def hostile_story(site: Site) -> list[str]:
    """Every field that somebody else can fill holds markup, template words and hidden characters."""
    text = HOSTILE + "\u202egnp\u200b"
    delivery = site.world.delivery(
        body=json.dumps({"title": text}).encode(),
        title=text,
        event_type=text,
        agent_name=text,
        incident=text,
        webhook_id=text,
    )
    remarks = Remarks(held=(text,), mind=(f"{text}, kubectl {text}",), wrong=text, proof=text, done=text)
    run = site.world.run(
        State.UNPROVEN,
        delivery=delivery,
        report=unproven(remarks=remarks, said=text),
        incident=text,
        incident_title=text,
        incident_url="javascript:alert(1)",
        target=text,
        actor=text,
        event_type=text,
    )
    site.world.decision(delivery, "abort-canary", "no", text, checked=[[text, False, text]])
    site.world.note(run, "QINC1", text)
    about = {"run": run, "delivery": delivery, "incident": text, "target": text, "runbook": text, "actor": text}
    site.world.audit(1, "hostile", Tag.STEP_REFUSED, text, step=text, auth="v3_hmac", **about)
    return ["/", "/audit", f"/audit?target={text}", f"/runs/{run}", f"/deliveries/{delivery}"]


def test_hostile_text_is_shown_as_text_on_every_page(site: Site) -> None:
    for path in hostile_story(site):
        page = site.page(path)
        assert "é {{7*7}} ${x} <script>alert(1)</script>" in page.text, path
        assert not page.find("script"), path
        assert not page.find("img"), path
        assert not [one for one in page.find("a") if not one.given["href"].startswith(("/", "#"))], path


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "javascript://acme.example/%0aalert(1)",
        "http://acme.example/",
        "https://me@acme.example/",
        "https:///x",
        "https://[",
        "/runs/x",
        "",
    ],
)
def test_an_incident_whose_address_is_no_plain_https_url_has_no_link(site: Site, url: str) -> None:
    site.world.run(State.PROVEN, report=proven(), incident_url=url)
    facts = site.page(RUN)
    assert "#4182" in words(facts.find("dl", "facts")[0].text)
    assert not [one for one in facts.find("a") if not one.given["href"].startswith(("/", "#"))]


def test_hidden_characters_are_named_instead_of_obeyed(site: Site) -> None:
    for path in hostile_story(site):
        answer = site.get(path)
        assert "⟨U+202E⟩gnp⟨U+200B⟩" in answer.text, path
        shown = re.sub(r'value="[^"]*"', "", answer.text)
        assert "\u202e" not in shown, path


def test_every_page_fits_a_strict_policy_and_is_whole(site: Site) -> None:
    paths = [*every_state(site), "/", "/audit", DELIVERY, "/login", "/login/nothing", "/runs/nothing"]
    for path in paths:
        answer = site.get(path)
        page = read(answer)
        assert answer.headers["Cache-Control"] == "no-store", path
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"], path
        ids = [one.given["id"] for one in page.elements if "id" in one.given]
        assert len(ids) == len(set(ids)), path
        assert len(page.find("h1")) == len(page.find("main")) == 1, path
        for one in page.elements:
            assert one.tag not in ("script", "style", "iframe"), path
            assert not [name for name in one.given if name == "style" or name.startswith("on")], (path, one)
        targets = {one.given["href"][1:] for one in page.find("use")}
        assert targets <= set(ids), path


def test_looking_at_pages_changes_nothing(site: Site) -> None:
    paths = [*every_state(site), "/", "/audit", DELIVERY]
    before = everything(site)
    for path in paths:
        site.page(path)
    assert everything(site) == before


def everything(site: Site) -> dict[str, list[tuple[object, ...]]]:
    """The whole database."""
    with site.parts.reading.connect() as connection:
        tables = db.metadata.sorted_tables
        return {
            table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
            for table in tables
        }


def test_a_database_that_is_away_is_said_in_the_frame(site: Site, tmp_path: Path) -> None:
    away = replace(site.parts, reading=db.reading(f"sqlite:///{tmp_path / 'nowhere' / 'x.db'}"))
    from server.app import create_app

    client = create_app(away.settings, away).test_client()
    client.set_cookie("ripcord_session", "anything")
    answer = client.get("/")
    assert answer.status_code == 503
    assert read(answer).h1 == "The database does not answer."


def test_a_bug_in_a_page_gives_a_number_and_no_trace(site: Site) -> None:
    site.world.run(State.PROVEN, report=proven())
    with site.parts.writing.begin() as connection:
        connection.execute(sa.text("UPDATE runs SET spec = '{}'"))
    answer = site.get(RUN)
    assert answer.status_code == 500
    page = read(answer)
    assert page.h1 == "This page has a bug."
    assert re.search(r"Error [0-9a-f]{8} is in the log", page.text)
    assert "Traceback" not in answer.text
