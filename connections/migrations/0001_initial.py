from __future__ import annotations

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Driver',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('kind', models.CharField(help_text='The kind of system, as connectors are named.', max_length=40, unique=True)),
                ('name', models.CharField(help_text='What pages call it.', max_length=100)),
                ('jar_file', models.CharField(blank=True, help_text='File name in the driver directory; empty where no JDBC is used.', max_length=255, verbose_name='JAR file')),
                ('class_name', models.CharField(blank=True, max_length=255, verbose_name='Java class')),
                ('url_template', models.CharField(blank=True, help_text='For example jdbc:sqlserver://{host};databaseName={db}', max_length=500, verbose_name='URL template')),
                ('maven', models.CharField(blank=True, help_text='group:artifact:version, from where the jar can be fetched.', max_length=255, verbose_name='Maven coordinate')),
                ('sha256', models.CharField(blank=True, help_text='Of the jar; a jar that differs is not loaded.', max_length=64, validators=[django.core.validators.RegexValidator('\\A[0-9a-f]{64}\\Z', 'A SHA-256 has 64 lower-case hexadecimal digits.')], verbose_name='SHA-256')),
            ],
            options={
                'db_table': 'driver',
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Connection',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=100, unique=True, validators=[django.core.validators.RegexValidator('\\A[A-Za-z0-9][A-Za-z0-9_. -]*\\Z', 'Use letters, digits, “_”, “.”, “-” and spaces, beginning with a letter or digit.')])),
                ('jdbc_url', models.CharField(help_text="In JDBC form or the system's own; without user name and password.", max_length=1000, verbose_name='URL')),
                ('username', models.CharField(blank=True, max_length=200)),
                ('password', models.CharField(blank=True, help_text='A reference such as $DW_PW to a name of the secrets file; never the password itself.', max_length=100)),
                ('supports_deletes', models.BooleanField(default=True, help_text='Off: incremental and upsert only insert, because the system cannot delete or update.')),
                ('options', models.JSONField(blank=True, default=dict, help_text='Session settings, fetch size and properties, as a JSON object.')),
                ('max_parallel', models.PositiveSmallIntegerField(default=4, help_text='How many transfers may use it at the same time.', validators=[django.core.validators.MinValueValidator(1)])),
                ('last_tested_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('last_test_ok', models.BooleanField(editable=False, null=True, verbose_name='last test')),
                ('last_test_message', models.TextField(blank=True, editable=False)),
                ('driver', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='connections', to='connections.driver')),
            ],
            options={
                'db_table': 'connection',
                'ordering': ['name'],
                'constraints': [models.CheckConstraint(condition=models.Q(('password', ''), ('password__regex', '\\A\\$[A-Z_][A-Z0-9_]*\\Z'), _connector='OR'), name='connection_password_is_a_reference', violation_error_message='A password is not stored here. Write $ and a name in capital letters, such as $DW_PW, and put the password itself into the secrets file: manage.py secrets set DW_PW.')],
            },
        ),
    ]
