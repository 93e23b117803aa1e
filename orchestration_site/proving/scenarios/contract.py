"""What a scenario is: parameters whose defaults are its full form, and a run that ends in a verdict."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

from orchestration_site.proving.findings import Findings
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Promise, Verdict


@dataclass(frozen=True, kw_only=True)
class Scenario(ABC):
    """One way in which something is taken away at the worst moment."""

    #: As it is named on the command line.
    name: ClassVar[str]
    #: What it shows, in a sentence.
    shows: ClassVar[str]
    #: The private systems that it makes sense on.
    targets: ClassVar[frozenset[str]]
    #: Whether it can judge a system that it has not started.
    judges_remote: ClassVar[bool] = False

    @classmethod
    def full(cls, target: str) -> Self:
        """The scenario as `prove` runs it on that target when nothing else is said."""
        return cls()

    @abstractmethod
    async def run(self, trial: Trial) -> Verdict:
        """Try it on a system without workers; start, stop and kill what it needs."""

    def verdict(
        self, trial: Trial, findings: Findings, promises: Iterable[Promise], remarks: Iterable[str] = ()
    ) -> Verdict:
        return Verdict(self.name, trial.target, findings, len(trial.kills), tuple(promises), tuple(remarks))
