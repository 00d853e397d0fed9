from __future__ import annotations

from django.db import migrations

from runs.models.immutability import protect, release


class Migration(migrations.Migration):
    dependencies = [("runs", "0001_initial")]
    operations = [migrations.RunPython(protect, release)]
