"""The verdicts as text: a line each, and beneath them what was broken."""

from collections.abc import Sequence

from orchestration_site.proving.verdict import Verdict, percentile

HEADINGS = (
    "scenario",
    "target",
    "accepted",
    "completed",
    "failed",
    "lost",
    "duplicated",
    "stuck",
    "kills",
    "repeated",
    "recovery p50",
    "max",
    "",
)
#: The columns of words; the others are figures.
WORDS = {0, 1, 12}


def table_of(verdicts: Sequence[Verdict]) -> str:
    """The table, with what was seen of every broken promise."""
    rows = [HEADINGS, *(_row(verdict) for verdict in verdicts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(_cell(row, column, widths[column]) for column in range(len(row))).rstrip() for row in rows]
    for verdict in verdicts:
        name = f"{verdict.scenario} on {verdict.target}"
        lines += [f"  {name}: {remark}" for remark in verdict.remarks]
        lines += [f"  BROKEN in {name}: {promise}" for promise in verdict.broken]
    return "\n".join(lines)


def _row(verdict: Verdict) -> tuple[str, ...]:
    findings = verdict.findings
    recoveries = findings.recoveries
    figures = (
        findings.accepted,
        len(findings.completed),
        len(findings.failed),
        len(findings.lost),
        findings.duplicated_results,
        len(findings.stuck),
        verdict.kills,
        findings.repeated_calls,
    )
    recovery = (f"{percentile(recoveries, 50):.1f} s", f"{max(recoveries):.1f} s") if recoveries else ("-", "-")
    result = "BROKEN" if verdict.broken else "kept"
    return (verdict.scenario, verdict.target, *(f"{figure:,}" for figure in figures), *recovery, result)


def _cell(row: Sequence[str], column: int, width: int) -> str:
    return row[column].ljust(width) if column in WORDS else row[column].rjust(width)
