from __future__ import annotations

import django.db.models.deletion
import runs.models
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('modules', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Setting',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('key', models.CharField(max_length=60, unique=True)),
                ('value', models.JSONField()),
            ],
            options={
                'db_table': 'settings',
                'ordering': ['key'],
            },
        ),
        migrations.CreateModel(
            name='GroupRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('group_name', models.CharField(max_length=100)),
                ('status', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('success', 'Success'), ('partial', 'Partly failed'), ('dry_run', 'Dry run'), ('error', 'Error'), ('cancelled', 'Cancelled')], default='queued', max_length=10)),
                ('trigger', models.CharField(default='manual', max_length=60)),
                ('actor', models.CharField(blank=True, max_length=200)),
                ('dry_run', models.BooleanField(default=False)),
                ('cancel_requested', models.BooleanField(default=False)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('group', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='group_runs', to='modules.group')),
            ],
            options={
                'db_table': 'group_run',
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='Run',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('module_name', models.CharField(max_length=63, verbose_name='module')),
                ('token', models.CharField(default=runs.models.new_token, editable=False, max_length=36, unique=True)),
                ('status', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('lost', 'Lost'), ('success', 'Success'), ('dry_run', 'Dry run'), ('error', 'Error'), ('cancelled', 'Cancelled'), ('refused', 'Refused')], default='queued', max_length=10)),
                ('trigger', models.CharField(default='manual', max_length=60)),
                ('actor', models.CharField(blank=True, max_length=200)),
                ('attempt', models.PositiveSmallIntegerField(default=1)),
                ('strategy', models.CharField(blank=True, max_length=12)),
                ('dry_run', models.BooleanField(default=False)),
                ('full_refresh', models.BooleanField(default=False)),
                ('force', models.BooleanField(default=False)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('read', models.BigIntegerField(blank=True, null=True)),
                ('staged', models.BigIntegerField(blank=True, null=True)),
                ('inserted', models.BigIntegerField(blank=True, null=True)),
                ('updated', models.BigIntegerField(blank=True, null=True)),
                ('deleted', models.BigIntegerField(blank=True, null=True)),
                ('bytes', models.BigIntegerField(blank=True, null=True)),
                ('source_query', models.TextField(blank=True)),
                ('merge_sql', models.TextField(blank=True, verbose_name='merge SQL')),
                ('watermarks', models.JSONField(blank=True, default=dict)),
                ('warnings', models.JSONField(blank=True, default=list)),
                ('steps', models.JSONField(blank=True, default=list)),
                ('error', models.JSONField(blank=True, null=True)),
                ('log_path', models.CharField(blank=True, max_length=500)),
                ('dest_lock_key', models.CharField(blank=True, max_length=1000)),
                ('host', models.CharField(blank=True, max_length=255)),
                ('machine_id', models.CharField(blank=True, max_length=320)),
                ('boot_id', models.CharField(blank=True, max_length=64)),
                ('pid', models.PositiveIntegerField(blank=True, null=True)),
                ('process_started', models.BigIntegerField(blank=True, null=True)),
                ('heartbeat', models.BigIntegerField(default=0)),
                ('heartbeat_at', models.DateTimeField(blank=True, null=True)),
                ('cancel_requested', models.BooleanField(default=False)),
                ('group_run', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='runs.grouprun')),
                ('module', models.ForeignKey(null=True, on_delete=runs.models.keep_runs, related_name='runs', to='modules.module')),
            ],
            options={
                'db_table': 'run_log',
                'ordering': ['-pk'],
            },
        ),
        migrations.AddConstraint(
            model_name='grouprun',
            constraint=models.UniqueConstraint(condition=models.Q(('dry_run', False), ('status__in', ('queued', 'running'))), fields=('group',), name='one_active_run_per_group'),
        ),
        migrations.AddIndex(
            model_name='run',
            index=models.Index(fields=['module', '-id'], name='run_by_module'),
        ),
        migrations.AddIndex(
            model_name='run',
            index=models.Index(fields=['status', '-id'], name='run_by_status'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.UniqueConstraint(condition=models.Q(('dry_run', False), ('status__in', ('queued', 'running', 'lost'))), fields=('module',), name='one_active_run_per_module'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.UniqueConstraint(condition=models.Q(('dry_run', False), ('status__in', ('queued', 'running', 'lost')), models.Q(('dest_lock_key', ''), _negated=True)), fields=('dest_lock_key',), name='one_active_run_per_dest_table'),
        ),
    ]
