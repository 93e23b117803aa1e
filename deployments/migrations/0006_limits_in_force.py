"""What limits are counted against: windows of rates, days of budgets; and the limits of keys."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0002_default_team'),
        ('deployments', '0005_history_searches'),
        ('designs', '0002_account_kinds'),
    ]

    operations = [
        migrations.CreateModel(
            name='DailyCharge',
            fields=[
                ('execution', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='daily_charge', serialize=False, to='deployments.executionlog')),
                ('attempt', models.PositiveIntegerField()),
                ('day', models.DateField()),
                ('tokens', models.BigIntegerField(default=0)),
                ('nano_usd', models.BigIntegerField(default=0)),
            ],
            options={
                'verbose_name': 'daily charge',
            },
        ),
        migrations.CreateModel(
            name='DailyUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('owner_id', models.UUIDField(help_text="The deployment's or the API key's id.")),
                ('day', models.DateField()),
                ('executions', models.PositiveBigIntegerField(default=0, help_text='Counted for keys that have a daily quota.')),
                ('tokens', models.BigIntegerField(default=0)),
                ('nano_usd', models.BigIntegerField(default=0)),
            ],
            options={
                'verbose_name': 'daily use',
            },
        ),
        migrations.CreateModel(
            name='RateWindow',
            fields=[
                ('owner_id', models.UUIDField(help_text="The deployment's or the API key's id.", primary_key=True, serialize=False)),
                ('began_at', models.DateTimeField()),
                ('count', models.PositiveIntegerField(default=0)),
            ],
            options={
                'verbose_name': 'rate window',
            },
        ),
        migrations.RemoveConstraint(
            model_name='deployment',
            name='deployment_rate_complete',
        ),
        migrations.AddField(
            model_name='apikey',
            name='daily_max_cost_usd',
            field=models.DecimalField(blank=True, decimal_places=6, max_digits=12, null=True),
        ),
        migrations.AddField(
            model_name='apikey',
            name='daily_max_executions',
            field=models.PositiveIntegerField(blank=True, help_text='A day is one of UTC.', null=True),
        ),
        migrations.AddField(
            model_name='apikey',
            name='daily_max_tokens',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='apikey',
            name='max_concurrent',
            field=models.PositiveIntegerField(blank=True, help_text='Executions at once, waiting ones too.', null=True),
        ),
        migrations.AddField(
            model_name='apikey',
            name='rate_count',
            field=models.PositiveIntegerField(blank=True, help_text='Calls in so many seconds.', null=True),
        ),
        migrations.AddField(
            model_name='apikey',
            name='rate_seconds',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='deployment',
            name='daily_max_cost_usd',
            field=models.DecimalField(blank=True, decimal_places=6, max_digits=12, null=True),
        ),
        migrations.AddField(
            model_name='deployment',
            name='daily_max_tokens',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='executionlog',
            name='api_key',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='deployments.apikey'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('rate_count__isnull', True), ('rate_seconds__isnull', True)), models.Q(('rate_count__gt', 0), ('rate_count__isnull', False), ('rate_seconds__gt', 0), ('rate_seconds__isnull', False)), _connector='OR'), name='key_rate_complete', violation_error_message='A rate needs both the number of calls and the seconds.'),
        ),
        migrations.AddConstraint(
            model_name='deployment',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('rate_count__isnull', True), ('rate_seconds__isnull', True)), models.Q(('rate_count__gt', 0), ('rate_count__isnull', False), ('rate_seconds__gt', 0), ('rate_seconds__isnull', False)), _connector='OR'), name='deployment_rate_complete'),
        ),
        migrations.AddConstraint(
            model_name='dailyuse',
            constraint=models.UniqueConstraint(fields=('owner_id', 'day'), name='daily_use_unique'),
        ),
    ]
