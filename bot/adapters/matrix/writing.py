"""A reply as the content of Matrix events. Pure.

The plain body stands alone (bridges, screen readers, notifications show nothing else); the HTML says the same, and its
marks lead to the messages. Nobody is mentioned by what an answer quotes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from bot.adapters.matrix.decoding import LABEL
from bot.adapters.matrix.splitting import cut, size
from bot.models import Label, Reply
from bot.pages import FAINT, Page, line, page_html, plain

LONGEST: Final = 20_000
"""Bytes of plain text of one message. An event may have 65,536: HTML doubles a text, an edit says it twice, encryption
adds a third."""
LARGEST: Final = 44_000  # bytes of the content as JSON; encrypted about 60,000
MORE: Final = "… The rest stands in the file below."


def message(
    reply: Reply, *, longest: int = LONGEST, links: Mapping[str, str] = MappingProxyType({})
) -> tuple[dict[str, Any], bool]:
    """The content of the event, and whether it holds the whole page. ``links``: where its marks lead."""
    shown = cut(reply.page, longest)
    while True:
        whole = shown == reply.page
        content = _content(reply, shown if whole else (*shown, line((FAINT, MORE))), links)
        needed = size(json.dumps(content))
        if needed <= LARGEST:
            return content, whole
        longest = min(longest - 1, int(longest * LARGEST / needed))
        shown = cut(reply.page, longest)


def file(name: str, uri: str, key: Mapping[str, Any] | None, length: int, reply: Reply) -> dict[str, Any]:
    """The content of an event that hands a file over; with ``key`` the file is encrypted."""
    kind = "text/plain" if name.endswith(".txt") else "application/octet-stream"
    content: dict[str, Any] = {
        "msgtype": "m.file",
        "body": name,
        "filename": name,
        "info": {"size": length, "mimetype": kind},
        "m.mentions": {},
    }
    content |= {"file": {**key, "url": uri}} if key else {"url": uri}
    if relation := _relation(reply):
        content["m.relates_to"] = relation
    return content


def _content(reply: Reply, shown: Page, links: Mapping[str, str]) -> dict[str, Any]:
    said = _said(shown, reply.label, links)
    if reply.replaces is None:
        relation = _relation(reply)
        return {**said, "m.relates_to": relation} if relation else said
    marked = {**said, "body": f"* {said['body']}"}
    if "formatted_body" in said:
        marked["formatted_body"] = f"* {said['formatted_body']}"
    return {**marked, "m.new_content": said, "m.relates_to": {"rel_type": "m.replace", "event_id": reply.replaces}}


def _said(shown: Page, label: Label | None, links: Mapping[str, str]) -> dict[str, Any]:
    """The words: a notice, which bots leave unanswered."""
    body = plain(shown)
    said: dict[str, Any] = {"msgtype": "m.notice", "body": body, "m.mentions": {}}
    if any(style for one in shown for style, _ in one):
        said |= {"format": "org.matrix.custom.html", "formatted_body": page_html(shown, links)}
    if label is not None:
        said[LABEL] = {
            "answer_id": label.answer,
            "number": label.number,
            "route": label.route,
            "router": label.router,
        }
    return said


def _relation(reply: Reply) -> dict[str, Any] | None:
    answered = {"m.in_reply_to": {"event_id": reply.in_reply_to}} if reply.in_reply_to else {}
    if reply.thread is not None:
        inside = answered or {"m.in_reply_to": {"event_id": reply.thread}}
        return {"rel_type": "m.thread", "event_id": reply.thread, "is_falling_back": not answered, **inside}
    return answered or None
