"""The page: one file, no script but its own, and every text shown as it was written."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from balora.escaping import printable
from balora.report import write_report
from balora.report.drawn import Drawn
from balora.report.html import PAGE, Content, as_html
from balora.report.words import summary
from balora.study import Metric, Run, StudyResults
from balora.study.choices import choices
from balora.study.tables import build_tables
from tests.support.payloads import PAGE_PAYLOADS as PAYLOADS
from tests.support.studies import ACCURACY, DRIFT, noisy, study, with_run, write_audit, write_run

HEADS = {"html", "head", "meta", "title", "style", "script", "body"}
BLOCKS = {"div", "header", "h1", "h2", "h3", "p", "nav", "ul", "li", "main", "section", "pre", "figure", "figcaption"}
TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
WORDS = {"a", "button", "code", "details", "footer", "img", "small", "span", "strong", "sub", "summary"}
OWN_TAGS = HEADS | BLOCKS | TABLES | WORDS


class Page(HTMLParser):
    """Tags with their attributes, and the text outside of script and style."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.words: list[str] = []
        self.inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        self.raw[self.inside].append(data) if self.inside in self.raw else self.words.append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    @property
    def text(self) -> str:
        return one_line("".join(self.words))


def one_line(text: str) -> str:
    return " ".join(text.split())


def assert_harmless(text: str) -> Page:
    page = Page(text)
    names = Counter(tag for tag, _ in page.tags)
    assert set(names) <= OWN_TAGS
    assert (names["script"], names["style"], names["title"]) == (1, 1, 1)
    assert "".join(page.raw["script"]) == (PAGE / "script.js").read_text()
    assert "".join(page.raw["style"]) == (PAGE / "style.css").read_text()
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in {"style", "srcdoc", "action"}]
        target = attributes.get("href") or attributes.get("src") or "#"
        allowed = "data:image/svg+xml;base64," if tag == "img" else ("#", "./")
        assert target == "#" or target.startswith(allowed)
        assert tag != "meta" or attributes.get("http-equiv", "Content-Security-Policy") == "Content-Security-Policy"
    return page


def hostile(payload: str, folder: Path) -> StudyResults:
    """A study with the payload in every field that holds text."""
    other = f"{payload} 2"
    metric = Metric("eval_accuracy", payload, "higher", unit=payload)
    second = Metric(f"{payload}key", payload, "lower", unit=payload)
    results = study(
        {payload: [payload, other], f"{payload} task": [payload, other]},
        lambda levels, seed: {
            "eval_accuracy": 0.5 + (levels[payload] == other) * 0.1 + seed * 0.01,
            f"{payload}key": 0.1,
        },
        metrics=(metric, second),
        seeds=(0, 1),
        folder=folder,
        baseline=payload,
        name=payload,
        title=payload,
        description=payload,
        notes=(payload,),
        published=(
            {
                "levels": {payload: payload, f"{payload} task": payload},
                "metric": "eval_accuracy",
                "value": 1,
                "source": payload,
            },
        ),
    )
    chosen = tuple(replace(run, chosen={"training.learning_rate": payload}) for run in results.runs)
    tune = Run(
        payload,
        results.runs[0].levels,
        0,
        "tune",
        "done",
        None,
        {"eval_accuracy": 1.0},
        {"training.learning_rate": payload},
    )
    results = replace(results, runs=(*chosen, tune))
    return with_run(results, 1, {f"{payload} task": other}, state="failed", scores={}, error=payload, identity=payload)


def hostile_page(payload: str, folder: Path) -> str:
    """The page of that study, with the payload in its runs' files and in a figure, too."""
    results, run = hostile(payload, folder), folder / "runs" / "x"
    write_run(
        run,
        model={"name_or_path": payload},
        versions={payload: payload},
        hardware={payload: payload, "gpus": [{"name": payload}]},
    )
    for file in (run / "recipe.resolved.yaml", folder / "study.yaml"):
        file.write_bytes(payload.encode(errors="replace"))
    results = replace(results, runs=tuple(replace(each, folder=run) for each in results.runs))
    tables, chosen = build_tables(results), choices(results)
    figure = Drawn("dots", payload, payload, "<svg></svg>", (payload,), ((payload, payload),))
    return as_html("mark", results, Content(tables, [figure], chosen, summary(results, tables, chosen)), folder)


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_text_in_every_field_is_shown_as_text(payload: str, tmp_path: Path) -> None:
    text = hostile_page(payload, tmp_path)
    page = assert_harmless(text)
    shown = one_line(printable(payload))
    assert page.text.count(shown) >= 20
    titles = [attributes["title"] for _, attributes in page.tags if attributes.get("title")]
    assert any(shown in one_line(title) for title in titles)
    assert any(shown in one_line(attributes["alt"]) for tag, attributes in page.tags if tag == "img")


def test_names_of_folders_cannot_leave_the_link(tmp_path: Path) -> None:
    """A run folder may be called anything that a file system takes."""
    results = study({"method": ["a"]}, lambda *_: {"eval_accuracy": 0.5}, folder=tmp_path, seeds=range(8))
    names = [
        '"><script>1<',
        "javascript:alert(1)",
        "a b#c?d%2e",
        "&amp;",
        "x' onclick='",
        "漢字",
        "a\\b",
        "&#106;avascript:1",
    ]
    runs = []
    for run, name in zip(results.runs, names, strict=True):
        write_run(tmp_path / name, steps=1)
        runs.append(replace(run, folder=tmp_path / name))
    page = assert_harmless(as_html("mark", replace(results, runs=tuple(runs)), Content((), (), (), ()), tmp_path))
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a" and "run.json" in attributes["href"]]
    assert [unquote(link) for link in links] == [f"./{name}/run.json" for name in names]
    assert all((tmp_path / unquote(link)).is_file() for link in links)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    return whole_report(tmp_path_factory.mktemp("study"))


def whole_report(folder: Path, **changes) -> str:
    """A small study with every kind of figure, written as a user would."""
    means = {"LoRA": 0.8, "<script>1</script>": 0.9}
    results = study(
        {"method": list(means)},
        noisy(means),
        metrics=(ACCURACY, DRIFT),
        folder=folder,
        baseline="LoRA",
        title="A <b>study</b>",
        **changes,
    )
    for index, run in enumerate(results.runs):
        write_run(run.folder, seed=index, steps=5)
    write_audit(results.runs[0].folder)
    (path,) = write_report(results).files
    return path.read_text()


def test_a_whole_report_is_harmless_and_refers_to_nothing_outside(whole: str) -> None:
    text = whole
    page = assert_harmless(text)
    assert page.text.startswith("A <b>study</b> A <b>study</b>")
    pictures = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 8
    for picture in pictures:
        drawn = base64.b64decode(picture.partition(",")[2]).decode()
        assert "<script" not in drawn
        assert not re.findall(r'(?:href|src)="(?!#|data:image/png)', drawn)
    outside = re.sub(r'src="data:[^"]*"', "", text)
    assert "http://" not in outside
    assert "https://" not in outside


def test_the_policy_allows_the_page_s_own_script_and_style_only(whole: str) -> None:
    page = Page(whole)
    policy = next(attributes["content"] for _, attributes in page.tags if attributes.get("http-equiv"))
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256("".join(page.raw[kind]).encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_the_same_results_give_the_same_page(tmp_path: Path) -> None:
    figures = {"figures": ({"kind": "front"}, {"kind": "curves"})}
    first = whole_report(tmp_path / "one" / "demo", **figures)
    second = whole_report(tmp_path / "two" / "demo", **figures)
    assert first == second


def test_secrets_in_recipes_and_errors_are_hidden(tmp_path: Path) -> None:
    secret = "hf_" + "a1B2" * 9
    results = study({"method": ["a"]}, lambda *_: {"eval_accuracy": 0.5}, folder=tmp_path, seeds=[0])
    write_run(results.runs[0].folder, steps=1)
    recipe = f"model: x\n  api_key: abcdef\nurl: https://user:{secret}@host\n"
    (results.runs[0].folder / "recipe.resolved.yaml").write_text(recipe)
    (tmp_path / "study.yaml").write_text(f"token: {secret}\n")
    results = with_run(results, 0, {}, state="failed", error=f"401 for {secret}\nsecond line")
    for path in write_report(results, ("html", "md", "csv", "latex")).files:
        assert secret not in path.read_text()
        assert "abcdef" not in path.read_text()
    assert "second line" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_runs_nothing_of_it_and_complains_of_nothing(tmp_path: Path, width: int) -> None:
    means = dict.fromkeys(PAYLOADS, 0.8)
    results = study(
        {"method": list(means)},
        noisy(means),
        metrics=(ACCURACY, DRIFT),
        folder=tmp_path,
        baseline=PAYLOADS[0],
        description="\n".join(PAYLOADS),
    )
    for run in results.runs[:3]:
        write_run(run.folder, steps=3)
    for payload in PAYLOADS:
        results = with_run(results, 2, {"method": payload}, state="failed", scores={}, error=payload)
    (path,) = write_report(results).files
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    command += ["--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--v=0"]
    command += [f"--user-data-dir={tmp_path / 'browser'}", f"--window-size={width},2000", "--dump-dom", path.as_uri()]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "data-owned" not in re.sub(r"&[a-z]+;|'data-owned'", "", answer.stdout.partition("<body>")[0])
    assert 'class="theme" type="button">' in answer.stdout  # our own script ran
    assert not [line for line in answer.stderr.splitlines() if "CONSOLE" in line or "Content Security Policy" in line]
    assert json.dumps("<script>")[1:-1] not in answer.stdout.partition("<body>")[2].rpartition("<script>")[0]
