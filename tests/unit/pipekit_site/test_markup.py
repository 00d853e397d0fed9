"""HTML is written in templates, with escaping, and not in Python code."""

from __future__ import annotations

import re
from pathlib import Path

from pipekit_site.config.config import BASE_DIR

APPS = ("connections", "introspection", "modules", "runs", "scheduling", "pipekit_site")
# a tag with a space, a slash or a closing bracket after its name, unlike a named group of a regular expression
TAG = r"</?(?:div|span|a|p|b|i|br|h[1-6]|table|thead|tbody|td|th|tr|ul|ol|li|pre|code|details|summary|time|button)[ />]"
MARKUP = re.compile(rf"(?<!\?P){TAG}|\b(?:format_html|format_html_join|mark_safe|SafeString|SafeText)\b")
# modules that mark rendered templates as safe, and the guides, whose own HTML is escaped
ALLOWED = {"pipekit_site/admin_ui/html.py": {"SafeString"}, "pipekit_site/web/help.py": {"SafeString", "mark_safe"}}


def test_python_code_contains_no_markup() -> None:
    markup: dict[str, set[str]] = {}
    for app in APPS:
        for file in (BASE_DIR / app).rglob("*.py"):
            if words := set(MARKUP.findall(file.read_text(encoding="utf-8"))):
                markup[str(file.relative_to(BASE_DIR))] = words
    assert markup == ALLOWED


def test_no_html_template_turns_escaping_off() -> None:
    templates = [file for app in APPS for file in (BASE_DIR / app).rglob("templates/**/*.html")]
    assert len(templates) > 40
    unescaped = re.compile(r"autoescape\s+off|\|\s*safe(seq)?\b")
    assert [file.name for file in templates if unescaped.search(file.read_text(encoding="utf-8"))] == []


def test_plain_text_templates_do_not_escape_values() -> None:
    texts = list((Path(BASE_DIR) / "runs/templates/runs/notify").glob("*.txt"))
    sources = {file.name: file.read_text(encoding="utf-8") for file in texts}
    with_values = {name for name, text in sources.items() if "{{" in text}
    # the values in the footer are numbers and literals
    assert {name for name in with_values if "{% autoescape off %}" not in sources[name]} == {"footer.txt"}
