"""Template filters of the admin's pages; each renders a template of ``admin_ui``."""

from __future__ import annotations

from django import template

from pipekit_site.admin_ui import html

register = template.Library()
register.filter("code", html.code)
register.filter("clipped", html.clipped)
register.filter("row_link", html.row_link)
register.filter("page_of", html.page_of)
