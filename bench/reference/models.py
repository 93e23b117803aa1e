"""One row a call."""

from django.db import models


class Call(models.Model):
    """What came in and what came out."""

    id = models.UUIDField(primary_key=True)
    status = models.CharField(max_length=10)
    input_data = models.JSONField()
    output = models.TextField(default="")
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)

    objects: "models.Manager[Call]" = models.Manager()

    def __str__(self) -> str:
        return str(self.id)
