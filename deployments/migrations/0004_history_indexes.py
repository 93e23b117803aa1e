"""Indexes that hold the status too: the history counts over time from them alone. Old ones go when the new are there."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0002_default_team'),
        ('deployments', '0003_deployment_updated_by'),
        ('designs', '0002_account_kinds'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='executionlog',
            index=models.Index(fields=['deployment', '-created_at', '-id', 'status'], name='execution_of_deployment'),
        ),
        migrations.AddIndex(
            model_name='executionlog',
            index=models.Index(fields=['team', '-created_at', '-id', 'status'], name='execution_of_team'),
        ),
        migrations.AddIndex(
            model_name='executionlog',
            index=models.Index(fields=['-created_at', '-id', 'status'], name='execution_newest'),
        ),
        migrations.RemoveIndex(
            model_name='executionlog',
            name='execution_deployment',
        ),
        migrations.RemoveIndex(
            model_name='executionlog',
            name='execution_team',
        ),
    ]
