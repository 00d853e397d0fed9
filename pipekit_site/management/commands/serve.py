"""`manage.py serve`: serve the admin with uvicorn."""

from __future__ import annotations

import argparse
import errno
import os
import socket
from typing import Any

import uvicorn
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection

from connections.management.base import BaseCommand, CommandFailed
from connections.models import Driver
from pipekit_site.config import values


class Command(BaseCommand):
    help = "Serve the admin."
    # unlike other commands it imports the pages
    requires_system_checks = "__all__"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="Address to listen on (default: this machine only).")
        parser.add_argument("--port", type=_port, default=settings.PIPEKIT.api_port, help="Default: api_port.")

    def handle(self, *, host: str, port: int, **options: Any) -> None:
        _check_free(host, port)
        # kinds may have been installed since the last migration
        Driver.objects.synchronize()
        if not get_user_model().objects.filter(is_active=True, is_superuser=True).exists():
            self.stderr.write("Nobody can log in yet; in another terminal: python manage.py createsuperuser")
        connection.close()
        if settings.PIPEKIT.tls:
            self.stderr.write("tls is on: use the URL of the TLS proxy; plain HTTP is redirected to HTTPS.")
        self.stdout.write(f"Pipekit is at http://{_shown(host)}:{port}/admin/ (Ctrl+C stops it)")
        self.stdout.flush()
        uvicorn.run("pipekit_site.asgi:application", host=host, port=port, **server_options())


def server_options() -> dict[str, Any]:
    """Return uvicorn's options, except for the address.

    X-Forwarded-For is accepted only if there is a proxy: with ``tls`` on, or if uvicorn's FORWARDED_ALLOW_IPS is set.
    From other clients the header would bypass the limit of login attempts.
    """
    proxied = settings.PIPEKIT.tls or bool(os.environ.get("FORWARDED_ALLOW_IPS"))
    return {"proxy_headers": proxied, "log_level": "warning", "server_header": False}


def _port(text: str) -> int:
    try:
        return values.port(text)
    except values.Unexpected as expected:
        raise argparse.ArgumentTypeError(f"expected {expected}") from None


def _check_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise CommandFailed(
                f"Pipekit cannot listen on {host}, port {port}: {error}.",
                hint="Choose another with --port or api_port.",
                code="address_in_use" if error.errno == errno.EADDRINUSE else "address_invalid",
            ) from None


def _shown(host: str) -> str:
    """Return the host as it is written in a URL for a browser."""
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
