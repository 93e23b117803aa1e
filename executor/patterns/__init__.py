"""The registry of patterns: the one place that names them all."""

from executor.patterns import debate, hierarchical, parallel, reflection, routing, sequential
from executor.patterns.contract import AnyPattern

PATTERNS: dict[str, AnyPattern] = {
    "sequential": sequential.PATTERN,
    "parallel": parallel.PATTERN,
    "hierarchical": hierarchical.PATTERN,
    "debate": debate.PATTERN,
    "routing": routing.PATTERN,
    "reflection": reflection.PATTERN,
}
