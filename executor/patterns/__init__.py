"""The registry of patterns: the one place that names them all."""

from executor.patterns import sequential
from executor.patterns.contract import AnyPattern

PATTERNS: dict[str, AnyPattern] = {
    "sequential": sequential.PATTERN,
}
