"""What is counted against limits: calls in a window of time, and what a day's budget has been used for."""

from django.db import models

from deployments.models.execution import ExecutionLog


class RateWindow(models.Model):
    """The calls of one deployment or one API key in its present window, which began with the first of them."""

    owner_id = models.UUIDField(primary_key=True, help_text="The deployment's or the API key's id.")
    began_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = "rate window"

    def __str__(self) -> str:
        return f"{self.owner_id}: {self.count} since {self.began_at}"


class DailyUse(models.Model):
    """What one deployment or one API key has used on one day (UTC), what is set aside for calls on their way included.

    Money is counted in whole billionths of a USD: both databases add them without rounding.
    """

    owner_id = models.UUIDField(help_text="The deployment's or the API key's id.")
    day = models.DateField()
    executions = models.PositiveBigIntegerField(default=0, help_text="Counted for keys that have a daily quota.")
    tokens = models.BigIntegerField(default=0)
    nano_usd = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = "daily use"
        constraints = [models.UniqueConstraint(fields=["owner_id", "day"], name="daily_use_unique")]
        indexes = [models.Index(fields=["day"], name="daily_use_day")]  # by which old days are found

    def __str__(self) -> str:
        return f"{self.owner_id} on {self.day}"


class DailyCharge(models.Model):
    """What one unfinished execution counts for in its day's use, so that what a lost worker set aside can be found.

    `attempt` is the fence: of two workers that take themselves for the execution's, the later one counts.
    """

    execution = models.OneToOneField(
        ExecutionLog, on_delete=models.CASCADE, primary_key=True, db_constraint=False, related_name="daily_charge"
    )
    attempt = models.PositiveIntegerField()
    day = models.DateField()
    tokens = models.BigIntegerField(default=0)
    nano_usd = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = "daily charge"

    def __str__(self) -> str:
        return f"{self.execution_id} on {self.day}"
