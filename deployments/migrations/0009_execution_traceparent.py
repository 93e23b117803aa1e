"""The trace that an execution belongs to."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('deployments', '0008_daily_use_by_day'),
    ]

    operations = [
        migrations.AddField(
            model_name='executionlog',
            name='traceparent',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=55),
        ),
    ]
