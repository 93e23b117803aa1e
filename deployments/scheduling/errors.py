"""Why a schedule is refused, as exceptions."""

from collections.abc import Iterable

from executor.errors import Problem


class InvalidSchedule(ValueError):
    """The schedule has no times or cannot be stored; `problems` lists every reason, with pointers from the schedule."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problem.message for problem in self.problems))


class ScheduleGone(Exception):
    """The deployment has no schedule, or not any more."""

    def __init__(self) -> None:
        super().__init__("This deployment has no schedule. Change the deployment to give it one, then try again.")
