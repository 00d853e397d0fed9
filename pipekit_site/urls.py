"""The URLs of the site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from pipekit_site.web.health import health

# only here, not at every start: see pipekit_site.web.admin_config
admin.autodiscover()

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("health", health),
]
