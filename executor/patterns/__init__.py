"""The registry of patterns: the one place that names them all."""

from executor.patterns import debate, reflection, sequential
from executor.patterns.contract import AnyPattern

PATTERNS: dict[str, AnyPattern] = {
    "sequential": sequential.PATTERN,
    "debate": debate.PATTERN,
    "reflection": reflection.PATTERN,
}
