"""How long history is kept, per deployment; what was removed of an execution; what a day's retention removed."""


import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0003_audit'),
        ('deployments', '0010_execution_traceparent'),
    ]

    operations = [
        migrations.AddField(
            model_name='deployment',
            name='keep_history_days',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='deployment',
            name='keep_history_last',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='deployment',
            name='keep_payload_days',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='deployment',
            name='keep_payload_last',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='executionlog',
            name='payload_removed_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='executionlog',
            name='payload_removed_why',
            field=models.CharField(blank=True, db_default='', default='', max_length=60),
        ),
        migrations.CreateModel(
            name='RetentionTally',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('owner_id', models.UUIDField(help_text="The deployment's id; of runs of drafts, which have none, all zeros.")),
                ('day', models.DateField()),
                ('payloads', models.PositiveBigIntegerField(default=0)),
                ('executions', models.PositiveBigIntegerField(default=0)),
                ('team', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='access.team')),
            ],
            options={
                'verbose_name': 'tally of retention',
                'verbose_name_plural': 'tallies of retention',
                'constraints': [models.UniqueConstraint(fields=('day', 'owner_id', 'team'), name='retention_tally_unique')],
            },
        ),
    ]
