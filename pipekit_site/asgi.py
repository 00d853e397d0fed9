"""The ASGI application, for `manage.py serve` and other ASGI servers."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from connections.sdk.process_memory import keep_private

keep_private()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipekit_site.settings")

application = get_asgi_application()
