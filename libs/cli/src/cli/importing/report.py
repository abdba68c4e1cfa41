"""What an import reports: every change of the log, every command, every case, accounted for."""

from collections import Counter
from typing import Any

from cli.importing.log import Log
from cli.importing.plan import Plan
from cli.importing.playing import Player
from cli.importing.standing import difference, hours

SHOWN = 1000
"""Rows and cases that are listed one by one; all are counted."""


def report(log: Log, plan: Plan, player: Player, seconds: float) -> dict[str, Any]:
    """The whole account, as it is written to a file and shown."""
    fates = [run.fate for run in player.runs.values()]
    differences = {subject: slug for subject, slug in _differences(player) if slug is not None}
    sent = sum(len(run.case.commands) for run in player.runs.values())
    refused = Counter(slug for fate in fates for type_, slug in fate.refusals if type_ != "intake.submit")
    applied = sum(max(run.next, 0) for run in player.runs.values()) - sum(refused.values())
    cases = len(plan.cases)
    return {
        "log": {
            "content_sha256": log.content,
            "cases": len(log.rows),
            "changes": log.changes,
            "unreadable": len(log.unreadable),
            "unreadable_by_reason": dict(Counter(bad.reason for bad in log.unreadable)),
            "unreadable_rows": [
                {"line": bad.line, "case": bad.case, "reason": bad.reason, "detail": bad.detail}
                for bad in log.unreadable[:SHOWN]
            ],
            "skipped_cases": len(plan.skipped),
            "unchanged_rows": sum(case.unchanged for case in plan.cases),
            "ignored_rows": sum(case.ignored for case in plan.cases),
            "rows_out_of_order": sum(case.out_of_order for case in plan.cases),
        },
        "setup": dict(player.setup),
        "submissions": {
            "accepted": sum(1 for fate in fates if fate.submitted),
            "refused": dict(
                Counter(slug for fate in fates for type_, slug in fate.refusals if type_ == "intake.submit")
            ),
        },
        "commands": {"planned": sent, "applied": applied, "refused": dict(refused)},
        "unanswered": sum(fate.unanswered for fate in fates) + _unsent(player),
        "finals": {
            "compared": cases,
            "exact": cases - len(differences),
            "exact_share": round((cases - len(differences)) / cases, 4) if cases else 1.0,
            "differences": dict(Counter(differences.values())),
            "unexplained": sum(1 for slug in differences.values() if slug == "unexplained"),
            "different_cases": [
                {"case": player.runs[subject].case.name, "request_id": subject, "reason": slug}
                for subject, slug in list(differences.items())[:SHOWN]
            ],
        },
        "breaches": sum(standing.breaches for standing in player.standings.values()),
        "hours_waited": hours(player.standings.values()),
        "seconds": round(seconds, 1),
        "changes_per_second": round(log.changes / seconds, 1) if seconds else None,
    }


def _differences(player: Player) -> list[tuple[str, str | None]]:
    return [
        (subject, difference(run.case, run.fate, player.standings.get(subject), subject in player.foreign))
        for subject, run in player.runs.items()
    ]


def _unsent(player: Player) -> int:
    """Commands that were not even sent when the import gave up."""
    left = 0
    for run in player.runs.values():
        if run.fate.submitted is not False:
            left += len(run.case.commands) - max(run.next, 0) - run.fate.unanswered + (run.next < 0)
    return left
