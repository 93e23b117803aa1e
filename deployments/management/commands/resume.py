"""`resume PATH`: takes back what `pause` did."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from deployments.management.acting import ActingCommand, find_live_deployment
from deployments.management.pausing import find_schedule, next_time_of, set_status
from deployments.models import ScheduleConfig
from deployments.scheduling.changes import resume_schedule
from deployments.scheduling.errors import InvalidSchedule, ScheduleGone


class Command(ActingCommand):
    """A schedule goes on with its next time, unless it is to catch up."""

    help = "Resume a deployment's schedule, or with --endpoint set the deployment active."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("path", metavar="PATH", help="The endpoint.")
        what = parser.add_mutually_exclusive_group()
        choices = [str(choice) for choice in ScheduleConfig.CatchUp.values]
        what.add_argument("--catch-up", choices=choices, help="Which of the times of the pause run after all.")
        what.add_argument("--endpoint", action="store_true", help="Set it active.")

    def handle(self, *_args: Any, **options: Any) -> None:
        deployment = find_live_deployment(options["path"], team=options["team"])
        if options["endpoint"]:
            changed = set_status(deployment, "active", by=self.by)
            self.stdout.write(f"{deployment.endpoint_path} is active{'' if changed else ' already'}.")
            return
        schedule = find_schedule(deployment)
        if schedule.paused_at is None:
            told = f"The schedule of {deployment.endpoint_path} is not paused. {next_time_of(schedule)}"
            self.stdout.write(told)
            return
        try:
            resumed = resume_schedule(schedule=schedule, by=self.by, catch_up=options["catch_up"])
        except (InvalidSchedule, ScheduleGone) as refused:
            raise CommandError(str(refused)) from None
        self.stdout.write(f"The schedule of {deployment.endpoint_path} is resumed. {next_time_of(resumed)}")
