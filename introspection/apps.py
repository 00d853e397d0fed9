"""The Django app `introspection`."""

from __future__ import annotations

from django.apps import AppConfig


class IntrospectionConfig(AppConfig):
    name = "introspection"
