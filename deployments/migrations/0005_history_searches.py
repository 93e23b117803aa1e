"""Indexes that lead the history to a status too, and let it read nothing but an index with a team's right to it.

They rise with the time, as the rows do, which takes half the room. The team's own index goes: another begins with it.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0002_default_team'),
        ('deployments', '0004_history_indexes'),
        ('designs', '0002_account_kinds'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='executionlog',
            index=models.Index(fields=['deployment', 'created_at', 'id', 'status', 'team'], name='execution_by_deployment'),
        ),
        migrations.AddIndex(
            model_name='executionlog',
            index=models.Index(fields=['team', 'created_at', 'id', 'status'], name='execution_by_team'),
        ),
        migrations.AddIndex(
            model_name='executionlog',
            index=models.Index(fields=['created_at', 'id', 'status', 'team'], name='execution_by_time'),
        ),
        migrations.AddIndex(
            model_name='executionlog',
            index=models.Index(fields=['status', 'created_at', 'id', 'team'], name='execution_by_status'),
        ),
        migrations.RemoveIndex(
            model_name='executionlog',
            name='execution_of_deployment',
        ),
        migrations.RemoveIndex(
            model_name='executionlog',
            name='execution_of_team',
        ),
        migrations.RemoveIndex(
            model_name='executionlog',
            name='execution_newest',
        ),
        migrations.RemoveIndex(
            model_name='executionlog',
            name='execution_status',
        ),
        migrations.AlterField(
            model_name='executionlog',
            name='team',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='access.team'),
        ),
    ]
