"""The URLs of the site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from pipekit_site.web import help as help_pages
from pipekit_site.web.health import health

# only here, not at every start: see pipekit_site.web.admin_config
admin.autodiscover()

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/help/", admin.site.admin_view(help_pages.view), name="help"),
    path("admin/help/images/<str:name>", admin.site.admin_view(help_pages.image), name="help_image"),
    path("admin/help/<slug:name>/", admin.site.admin_view(help_pages.view), name="help_page"),
    path("admin/", admin.site.urls),
    path("health", health),
]
