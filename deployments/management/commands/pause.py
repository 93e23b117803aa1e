"""`pause PATH`: a deployment's schedule does not fire; with `--endpoint` it refuses calls, too."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from deployments.management.acting import ActingCommand, find_live_deployment
from deployments.management.pausing import find_schedule, set_status
from deployments.scheduling.changes import pause_schedule
from deployments.scheduling.errors import ScheduleGone


class Command(ActingCommand):
    """What runs goes on. `resume` takes it back."""

    help = "Pause a deployment's schedule, or with --endpoint the deployment as a whole."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("path", metavar="PATH", help="The endpoint.")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--reason", default="", help="Why; it is shown with the schedule.")
        what.add_argument("--endpoint", action="store_true", help="Set it inactive: calls and schedule alike.")

    def handle(self, *_args: Any, **options: Any) -> None:
        deployment = find_live_deployment(options["path"], team=options["team"])
        if options["endpoint"]:
            changed = set_status(deployment, "inactive", by=self.by)
            told = "is inactive: it refuses calls, and its schedule does not fire" if changed else "is inactive already"
            self.stdout.write(f"{deployment.endpoint_path} {told}.")
            return
        schedule = find_schedule(deployment)
        if schedule.paused_at is not None:
            self.stdout.write(f"The schedule of {deployment.endpoint_path} is paused already, by {schedule.paused_by}.")
            return
        try:
            pause_schedule(schedule=schedule, by=self.by, reason=options["reason"])
        except ScheduleGone as gone:
            raise CommandError(str(gone)) from None
        self.stdout.write(f"The schedule of {deployment.endpoint_path} is paused. Calls are taken as before.")
