from __future__ import annotations

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('connections', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Group',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=100, unique=True, validators=[django.core.validators.RegexValidator('\\A[A-Za-z0-9][A-Za-z0-9_. -]*\\Z', 'Use letters, digits, “_”, “.”, “-” and spaces, beginning with a letter or digit.')])),
                ('on_failure', models.CharField(choices=[('continue', 'Go on with the next module'), ('stop', 'Stop the group')], default='continue', max_length=8)),
                ('max_parallel', models.PositiveSmallIntegerField(default=1, help_text='How many members of the same order run at once.', validators=[django.core.validators.MinValueValidator(1)])),
            ],
            options={
                'db_table': 'grp',
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Module',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(help_text='Lower-case letters, digits and “_”; also the name of its staging table.', max_length=63, unique=True)),
                ('dest_table', models.CharField(help_text="schema.table; made from the source's types when it is missing.", max_length=300, verbose_name='destination table')),
                ('source_query', models.TextField(help_text='A SELECT that names every column of the destination: SELECT &quot;DCORD#&quot; AS dcord, … FROM …')),
                ('columns', models.JSONField(blank=True, help_text='Empty: derived from the query and probed. Else a JSON list of columns.', null=True)),
                ('merge_strategy', models.CharField(choices=[('full', 'Full: replace everything'), ('incremental', 'Incremental: replace rows by key'), ('append', 'Append: only insert'), ('upsert', 'Upsert: insert or update by key')], default='full', max_length=12)),
                ('merge_key', models.CharField(blank=True, help_text='Destination columns that name a row, separated by commas.', max_length=1000)),
                ('watermark_column', models.CharField(blank=True, help_text='Destination column that grows; empty: for incremental the first column of the merge key, else none.', max_length=255)),
                ('overlap', models.CharField(blank=True, help_text='Read again what is this close to the watermark: 1000, or 2 days.', max_length=100)),
                ('duplicate_keys', models.CharField(choices=[('error', 'Fail the run'), ('keep_latest', 'Keep the row with the highest watermark')], default='error', help_text='When the source delivers a key twice.', max_length=12)),
                ('full_publish', models.CharField(choices=[('truncate', 'Truncate: quick; readers wait a moment'), ('delete', 'Delete: slower; readers never wait')], default='truncate', max_length=8, verbose_name='publish a full refresh by')),
                ('nul_bytes', models.CharField(choices=[('fail', 'Fail the run'), ('strip', 'Take them out')], default='fail', help_text='PostgreSQL cannot hold them.', max_length=5, verbose_name='NUL bytes in text')),
                ('key_sync', models.BooleanField(default=False, help_text='After each run delete destination rows whose key the source no longer has.')),
                ('key_sync_query', models.TextField(blank=True, help_text='Empty: derived from the source query.')),
                ('full_refresh_cron', models.CharField(blank=True, help_text='A second cadence on which it runs as full, such as 0 3 * * 0.', max_length=100)),
                ('max_retries', models.PositiveSmallIntegerField(default=3, help_text='Only failures that can pass by themselves are tried again.', validators=[django.core.validators.MaxValueValidator(20)])),
                ('retry_delay', models.PositiveIntegerField(default=5, help_text='Seconds before the first retry.', validators=[django.core.validators.MinValueValidator(1)])),
                ('max_retry_delay', models.PositiveIntegerField(default=900, help_text='Seconds; no wait is longer.')),
                ('exponential_backoff', models.BooleanField(default=True, help_text='Each wait is twice the one before.')),
                ('retry_timeout', models.PositiveIntegerField(default=3600, help_text='Seconds after which no retry begins.')),
                ('enabled', models.BooleanField(default=True, help_text='Off: groups and schedules skip it.')),
                ('owner', models.CharField(blank=True, max_length=200)),
                ('notes', models.TextField(blank=True)),
                ('dest_connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='dest_modules', to='connections.connection', verbose_name='destination connection')),
                ('source_connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='source_modules', to='connections.connection')),
            ],
            options={
                'db_table': 'module',
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Hook',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('run_order', models.PositiveIntegerField(default=1)),
                ('sql', models.TextField(verbose_name='SQL')),
                ('run_on', models.CharField(choices=[('before', 'Before'), ('success', 'After success'), ('failure', 'After failure'), ('always', 'Always, at the end')], default='success', max_length=8)),
                ('on_error', models.CharField(choices=[('fail', 'Fail the run'), ('warn', 'Warn and go on')], default='fail', max_length=4)),
                ('connection', models.ForeignKey(blank=True, help_text='Empty: the destination.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='hooks', to='connections.connection')),
                ('module', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='hooks', to='modules.module')),
            ],
            options={
                'db_table': 'hook',
                'ordering': ['module', 'run_order', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='GroupMember',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('run_order', models.PositiveIntegerField(default=1, help_text='Lower runs first; the same order runs side by side.')),
                ('group', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='members', to='modules.group')),
                ('module', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='modules.module')),
            ],
            options={
                'db_table': 'group_member',
                'ordering': ['group', 'run_order', 'pk'],
            },
        ),
        migrations.AddField(
            model_name='group',
            name='modules',
            field=models.ManyToManyField(related_name='groups', through='modules.GroupMember', to='modules.module'),
        ),
        migrations.CreateModel(
            name='ModuleHistory',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('module_name', models.CharField(max_length=63)),
                ('version', models.PositiveIntegerField()),
                ('actor', models.CharField(help_text='Who, or which command.', max_length=200)),
                ('changed_at', models.DateTimeField(auto_now_add=True, verbose_name='when')),
                ('diff', models.JSONField()),
                ('snapshot', models.JSONField()),
                ('module', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='history', to='modules.module')),
            ],
            options={
                'verbose_name_plural': 'module history',
                'db_table': 'module_history',
                'ordering': ['-changed_at', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='Watermark',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(help_text='since, for {since} in the query.', max_length=63, validators=[django.core.validators.RegexValidator('\\A[A-Za-z_][A-Za-z0-9_]*\\Z', "A watermark's name is letters, digits and “_”, as it stands between the braces.")])),
                ('resolver_sql', models.TextField(help_text='The first column of its first row is the value.', verbose_name='resolver SQL')),
                ('default_value', models.CharField(blank=True, help_text='The value when the resolver returns nothing.', max_length=1000, null=True)),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='watermarks', to='connections.connection')),
                ('module', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='watermarks', to='modules.module')),
            ],
            options={
                'db_table': 'watermark',
                'ordering': ['module', 'name'],
            },
        ),
        migrations.AddConstraint(
            model_name='groupmember',
            constraint=models.UniqueConstraint(fields=('group', 'module'), name='one_membership_per_module'),
        ),
        migrations.AddConstraint(
            model_name='modulehistory',
            constraint=models.UniqueConstraint(fields=('module', 'version'), name='one_history_row_per_version'),
        ),
        migrations.AddConstraint(
            model_name='watermark',
            constraint=models.UniqueConstraint(fields=('module', 'name'), name='one_watermark_per_name'),
        ),
    ]
