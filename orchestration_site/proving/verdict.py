"""What a trial has shown: its figures, and each promise kept or broken."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestration_site.proving.findings import Findings, Record

NAMED = 3


@dataclass(frozen=True)
class Promise:
    """One promise, whether it was kept, and what was seen."""

    text: str
    kept: bool
    seen: str = ""

    def __str__(self) -> str:
        return f"{self.text}: {self.seen}" if self.seen else self.text


@dataclass(frozen=True)
class Verdict:
    """The end of a trial. `kills` are those of whatever it killed; `remarks` are figures that promise nothing."""

    scenario: str
    target: str
    findings: Findings
    kills: int
    promises: tuple[Promise, ...]
    remarks: tuple[str, ...] = ()

    @property
    def broken(self) -> list[Promise]:
        return [promise for promise in self.promises if not promise.kept]


def promises_of_all(findings: Findings, *, within: float) -> tuple[Promise, ...]:
    """What holds of every execution, whatever was killed. `within` seconds everything should have ended."""
    stuck, lost, gaps = findings.stuck, findings.lost, findings.with_gaps
    duplicated = [record for record in findings.records if record.duplicated_results]
    counted, known = findings.counted_as_ended, len(findings.records)
    return (
        Promise("nothing that was accepted is lost", not lost, f"{len(lost)} unknown {_named(lost)}"),
        Promise(f"all have ended within {within:g} s", not stuck, f"{len(stuck)} not ended {_ids(stuck)}"),
        Promise("no result is recorded twice", not duplicated, f"{findings.duplicated_results} {_ids(duplicated)}"),
        Promise("every journal is whole", not gaps, f"{len(gaps)} not {_ids(gaps)}"),
        Promise("no call was accepted twice", not findings.strangers, f"{len(findings.strangers)} more executions"),
        Promise("each is counted once", bool(stuck) or counted == known, f"{counted} counted of {known}"),
        Promise(
            "no call goes out before its start is recorded",
            findings.unannounced_calls == 0,
            f"{findings.unannounced_calls} calls",
        ),
    )


def none_failed(findings: Findings, *, but: Iterable[str] = ()) -> Promise:
    """That all have completed, but for failures of these codes."""
    wrong = [record for record in findings.failed if record.error_code not in set(but)]
    codes = Counter(record.error_code or record.status for record in wrong)
    seen = ", ".join(f"{count} {code}" for code, count in codes.items())
    return Promise("none failed", not wrong, f"{seen or 0} {_ids(wrong)}")


def few_repeated(findings: Findings, *, at_most: int, why: str) -> Promise:
    """That no more calls were made twice than may have been on their way when something was killed."""
    repeated = findings.repeated_calls
    return Promise(f"repeated calls are at most {at_most} ({why})", repeated <= at_most, f"{repeated}")


def percentile(values: Sequence[float], percent: int) -> float:
    """That percentile; 0 of nothing."""
    if len(values) < 2:
        return values[0] if values else 0.0
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _ids(records: Sequence[Record]) -> str:
    return _named([record.execution_id for record in records])


def _named(ids: Sequence[str]) -> str:
    more = ", …" if len(ids) > NAMED else ""
    return f"({', '.join(ids[:NAMED])}{more})" if ids else ""
