"""Texts of others within Markdown."""

from __future__ import annotations

__all__ = ["plain"]


def plain(text: str) -> str:
    r"""On one line, and without what Markdown or HTML would read as its own.

    Example:
        >>> plain("<b>\n")
        '&lt;b&gt; '
    """
    return (
        str(text)
        .replace("\n", " ")
        .replace("\r", " ")
        .replace("|", "\\|")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
    )
