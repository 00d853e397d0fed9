"""The Help pages of the admin: the guides of `pipekit_site/docs`, rendered from Markdown at their first use.

The guides are written for code hosts: links between them are relative (``schedules.md#missed-times``). Here they become
the URLs of Help pages. Links to other files of the repository, which have no page here, become plain text. HTML in the
Markdown is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

if TYPE_CHECKING:
    from markdown_it.token import Token

DIRECTORY = Path(__file__).resolve().parent.parent / "docs"
# the page that lists the others, in their order; code hosts show it with the directory
INDEX = "README"
_PAGE_LINK = re.compile(r"(?P<name>[\w-]+)\.md(?P<anchor>#.*)?")
_ABSOLUTE_LINK = re.compile(r"[a-z]+:|#")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading of a page, with the anchor that code hosts give it."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A rendered guide. ``links`` are the targets of its links and images, as written."""

    name: str
    title: str
    html: SafeString
    headings: tuple[Heading, ...]
    links: tuple[str, ...]

    @property
    def url(self) -> str:
        return _url(self.name)

    @property
    def sections(self) -> list[Heading]:
        """The headings of the table of contents."""
        return [heading for heading in self.headings if heading.level in (2, 3)]


def view(request: HttpRequest, name: str = INDEX) -> HttpResponse:
    """Show one guide. Raises Http404 when there is none of this name."""
    if name not in names():
        raise Http404(f"There is no Help page “{name}”.")
    shown = page(name)
    context = {
        **admin.site.each_context(request),
        "title": shown.title,
        "page": shown,
        "guides": [page(name) for name in guides()],
    }
    request.current_app = admin.site.name
    return render(request, "admin/help.html", context)


def image(request: HttpRequest, name: str) -> HttpResponse:
    """Return an image of the guides."""
    if name not in {path.name for path in (DIRECTORY / "images").glob("*.png")}:
        raise Http404(f"There is no image “{name}”.")
    return HttpResponse((DIRECTORY / "images" / name).read_bytes(), content_type="image/png")


@cache
def names() -> frozenset[str]:
    """Return the names of all guides, that is of their files without the suffix."""
    return frozenset(path.stem for path in DIRECTORY.glob("*.md"))


def guides() -> list[str]:
    """Return the names of the guides in the order in which the index links to them."""
    linked = [match["name"] for link in page(INDEX).links if (match := _PAGE_LINK.fullmatch(link))]
    return list(dict.fromkeys(name for name in linked if name in names()))


@cache
def page(name: str) -> Page:
    """Return the rendered guide."""
    return parse(name, (DIRECTORY / f"{name}.md").read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Page:
    """Render a page's Markdown, as CommonMark with tables."""
    # imported here, because most processes that import the URLs show no Help page
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    headings = tuple(_add_anchors(tokens))
    links = tuple(_rewrite_links(tokens))
    html = markdown.renderer.render(tokens, markdown.options, {})
    # safe: markdown-it escapes texts and attributes, and with html=False also HTML that the Markdown contains
    return Page(name=name, title=headings[0].text, html=mark_safe(html), headings=headings, links=links)  # noqa: S308


def _add_anchors(tokens: Sequence[Token]) -> Iterator[Heading]:
    """Give each heading an id, made as code hosts make it; a repeated one gets a number."""
    seen: dict[str, int] = {}
    for opening, inline in zip(tokens, tokens[1:], strict=False):
        if opening.type != "heading_open":
            continue
        text = "".join(child.content for child in inline.children or ())
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        seen[anchor] = seen.get(anchor, -1) + 1
        unique = f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor
        opening.attrSet("id", unique)
        yield Heading(level=int(opening.tag[1:]), text=text, anchor=unique)


def _rewrite_links(tokens: Sequence[Token]) -> Iterator[str]:
    """Point links and images to URLs of this site. Yield the targets as they were written."""
    for token in tokens:
        # elements that become plain text: a link cannot contain another
        is_plain = False
        for child in token.children or ():
            if child.type == "image":
                target = str(child.attrGet("src"))
                yield target
                child.attrSet("src", reverse("help_image", args=[Path(target).name]))
            elif child.type == "link_open":
                target = str(child.attrGet("href"))
                yield target
                url = _link_url(target)
                is_plain = not url
                if url:
                    child.attrSet("href", url)
            if is_plain and child.type in ("link_open", "link_close"):
                child.hidden, child.tag = True, "span"
                child.attrs = {}
                is_plain = child.type == "link_open"


def _link_url(target: str) -> str:
    """Return the URL for a link's target; empty for a file that has no Help page."""
    if _ABSOLUTE_LINK.match(target):
        return target
    match = _PAGE_LINK.fullmatch(target)
    return _url(match["name"]) + (match["anchor"] or "") if match else ""


def _url(name: str) -> str:
    return reverse("help") if name == INDEX else reverse("help_page", args=[name])
