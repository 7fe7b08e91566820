"""What may be written to the audit is an enum: pages, docs and queries share one list."""

from __future__ import annotations

from enum import StrEnum


class Tag(StrEnum):
    """What happened. `run_<state>` closes a run."""

    DELIVERY_RECEIVED = "delivery_received"
    DECIDED = "decided"
    RUN_STARTED = "run_started"
    GUARD_STOPPED = "guard_stopped"
    STEP_PLANNED = "step_planned"
    STEP_INTENDED = "step_intended"
    STEP_WOKEN = "step_woken"
    STEP_DONE = "step_done"
    STEP_REFUSED = "step_refused"
    STEP_UNKNOWN = "step_unknown"
    CHECK_PASSED = "check_passed"
    CHECK_FAILED = "check_failed"
    CHECK_UNKNOWN = "check_unknown"
    TOLD = "told"
    RUN_WAITING = "run_waiting"
    RUN_PLANNING = "run_planning"
    RUN_ACTING = "run_acting"
    RUN_PROVING = "run_proving"
    RUN_PROVEN = "run_proven"
    RUN_NOTHING_TO_DO = "run_nothing_to_do"
    RUN_REFUSED = "run_refused"
    RUN_FAILED = "run_failed"
    RUN_UNPROVEN = "run_unproven"
    RUN_OBSERVED = "run_observed"
