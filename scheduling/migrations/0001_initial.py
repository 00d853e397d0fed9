from __future__ import annotations

import django.core.validators
import django.db.models.deletion
import modules.cron.grammar
import scheduling.models
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('modules', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Schedule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=100, unique=True, validators=[django.core.validators.RegexValidator('\\A[A-Za-z0-9][A-Za-z0-9_. -]*\\Z', 'Use letters, digits, “_”, “.”, “-” and spaces, beginning with a letter or digit.')])),
                ('cron_expr', models.CharField(help_text='Minute, hour, day, month, weekday (0 4 * * *), or @hourly, @daily, @weekly, @monthly, @yearly.', max_length=100, validators=[modules.cron.grammar.check], verbose_name='cron expression')),
                ('timezone', models.CharField(default=scheduling.models.server_zone, max_length=64, validators=[scheduling.models.check_zone], verbose_name='time zone')),
                ('enabled', models.BooleanField(default=True)),
                ('catch_up', models.CharField(choices=[('none', 'Skip what was missed'), ('last', 'Run once for all that was missed')], default='last', max_length=4)),
                ('last_fired_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('group', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='schedules', to='modules.group')),
                ('module', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='schedules', to='modules.module')),
            ],
            options={
                'db_table': 'schedule',
                'ordering': ['name'],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('group', None), ('module__isnull', False)), models.Q(('group__isnull', False), ('module', None)), _connector='OR'), name='schedule_fires_exactly_one', violation_error_message='A schedule fires a group or a module: choose exactly one of the two.')],
            },
        ),
    ]
