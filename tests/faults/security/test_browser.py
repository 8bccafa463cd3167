"""R20: payloads in every field of a report and of a model card, opened in a real browser: it runs and asks nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from balora.artefacts.card import LONGEST_TEXT
from balora.escaping import printable
from tests.artefacts.test_card import FIELDS, card
from tests.report.test_html import hostile_page, one_line
from tests.support.browser import Browser, Opened, find_browser
from tests.support.payloads import PAYLOADS, on_one_line

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_browser() is None, reason="NO BROWSER HERE, no page was opened: install chromium"),
]
EVERY = list(dict.fromkeys(PAYLOADS))
RUN, ASK = 16, 6
"""Payloads that run, and that ask for something, where nothing escapes them; the others are for other readers."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser") / "profile") as browser:
        yield browser


def opened(browser: Browser, folder: Path, body: str) -> Opened:
    page = folder / "page.html"
    text = f"<!DOCTYPE html><html><head><meta charset=utf-8><title>x</title></head><body>{body}</body></html>"
    page.write_text(text, encoding="utf-8", errors="replace")
    return browser.open(page)


def test_the_canaries_sing_where_nothing_is_escaped(browser: Browser, tmp_path: Path) -> None:
    found = [opened(browser, tmp_path, payload) for payload in EVERY]
    assert sum(page.owned for page in found) >= RUN
    assert sum(bool(page.requests) for page in found) >= ASK
    assert any(said.startswith("dialog") for page in found for said in page.said)


@pytest.mark.parametrize("payload", EVERY, ids=range(len(EVERY)))
def test_a_report_runs_nothing_of_it_and_shows_it(payload: str, browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(hostile_page(payload, tmp_path / "study"), encoding="utf-8")
    page = browser.open(path)
    assert not page.owned
    assert page.requests == []
    assert page.said == []
    assert page.scripts == 1, "our own"
    shown = one_line(printable(payload))
    assert one_line(page.title) == shown
    assert one_line(page.text).count(shown) >= 20


@pytest.mark.parametrize("payload", EVERY, ids=range(len(EVERY)))
def test_a_card_runs_nothing_of_it_and_shows_it(payload: str, browser: Browser, tmp_path: Path) -> None:
    """As a hub without any filter of its own would show it: raw HTML allowed, no policy."""
    render = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render
    bodies = [render(_card(field, payload).split("---\n", 2)[2]) for field in FIELDS]
    page = opened(browser, tmp_path, "\n".join(bodies))
    assert not page.owned
    assert page.requests == []
    assert page.said == []
    assert page.scripts == 0
    if len(payload) < LONGEST_TEXT:
        assert one_line(page.text).count(one_line(on_one_line(payload))) >= len(FIELDS) - 2


def _card(field: str, payload: str) -> str:
    return card(**{field: {"results": {f"eval_{payload}": 0.5}, "label_names": (payload, "b")}.get(field, payload)})
