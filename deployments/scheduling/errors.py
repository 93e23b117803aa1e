"""What is wrong with a schedule, as an exception."""

from collections.abc import Iterable

from executor.errors import Problem


class InvalidSchedule(ValueError):
    """The schedule has no times or cannot be stored; `problems` lists every reason, with pointers from the schedule."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problem.message for problem in self.problems))
