from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import runs.models.notification


class Migration(migrations.Migration):
    dependencies = [("modules", "0001_initial"), ("runs", "0002_final_runs")]

    operations = [
        migrations.CreateModel(
            name="Notification",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("failure", "Failed"),
                            ("repeated", "Keeps failing"),
                            ("late", "Late"),
                            ("recovery", "Recovered"),
                        ],
                        max_length=10,
                    ),
                ),
                ("channel", models.CharField(choices=[("email", "E-mail"), ("webhook", "Webhook")], max_length=10)),
                ("module_name", models.CharField(max_length=63, verbose_name="module")),
                ("about", models.JSONField()),
                ("event_key", models.CharField(editable=False, max_length=120, unique=True)),
                (
                    "delivery_id",
                    models.CharField(
                        default=runs.models.notification.new_delivery_id, editable=False, max_length=36, unique=True
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("pending", "Waiting"), ("sent", "Sent"), ("undelivered", "Undelivered")],
                        default="pending",
                        max_length=12,
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("due_at", models.DateTimeField()),
                ("give_up_at", models.DateTimeField()),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("last_error", models.TextField(blank=True)),
                ("claim", models.CharField(blank=True, editable=False, max_length=36)),
                ("claimed_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "module",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="notifications",
                        to="modules.module",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="notifications",
                        to="runs.run",
                    ),
                ),
            ],
            options={
                "db_table": "outbox",
                "ordering": ["-pk"],
                "indexes": [
                    models.Index(fields=["status", "channel", "due_at"], name="outbox_by_due"),
                    models.Index(fields=["channel", "claimed_at"], name="outbox_by_claimed"),
                    models.Index(fields=["module", "-id"], name="outbox_by_module"),
                ],
            },
        ),
    ]
