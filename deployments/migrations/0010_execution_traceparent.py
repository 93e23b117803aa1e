"""The trace that an execution belongs to."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('deployments', '0009_payload_limit'),
    ]

    operations = [
        migrations.AddField(
            model_name='executionlog',
            name='traceparent',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=55),
        ),
    ]
