"""The WSGI application, for WSGI servers; `manage.py serve` uses ASGI."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from connections.sdk.process_memory import keep_private

keep_private()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipekit_site.settings")

application = get_wsgi_application()
