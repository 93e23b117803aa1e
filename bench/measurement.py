"""A measured figure beside what it may be."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Measurement:
    """One line of the table: what was measured, against what, and the bound that it is to keep.

    `kept` is whether `value` is on the right side of `bound`; `at_least` says which side that is.
    """

    name: str
    value: float
    unit: str
    bound: float
    at_least: bool = False
    details: dict[str, float] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"kept": self.kept}


def percentile(values: Sequence[float], percent: int) -> float:
    """That percentile of the values, which are at least two."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def table(measurements: Sequence[Measurement]) -> str:
    """The measurements as text, one a line."""
    rows = [("figure", "measured", "bound", "")]
    for measured in measurements:
        sign = "≥" if measured.at_least else "≤"
        rows.append(
            (
                measured.name,
                f"{measured.value:.3g} {measured.unit}".strip(),
                f"{sign} {measured.bound:g} {measured.unit}".strip(),
                "kept" if measured.kept else "MISSED",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for measured, place in zip(measurements, range(1, len(lines)), strict=True):
        if measured.details:
            shown = ", ".join(f"{name} {value:.4g}" for name, value in measured.details.items())
            lines[place] += f"\n    {shown}"
    return "\n".join(lines)
