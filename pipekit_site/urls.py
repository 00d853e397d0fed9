"""Every address of the site. The API's routers join here."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from pipekit_site.web.health import health

# imported here alone: see pipekit_site.web.admin_config
admin.autodiscover()

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("health", health),
]
