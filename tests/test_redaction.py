"""Secrets: found by value and by shape, and words that only sound like them stay."""

from __future__ import annotations

import io
import itertools
import json
import time
from pathlib import Path

import pytest

from balora.artefacts import write_json_atomically, write_text_atomically
from balora.redaction import (
    RedactingStream,
    has_credential,
    hide_variable,
    known_secrets,
    names_credential,
    redacted,
    redacted_override,
)

SHAPED = {
    "hub token": "hf_" + "aB3" * 11,
    "OpenAI key": "sk-proj-" + "a1" * 20,
    "GitHub token": "ghp_" + "a" * 36,
    "AWS key": "AKIA" + "ABCD1234" * 2,
    "Slack token": "xoxb-1234567890-abc",
    "npm token": "npm_" + "aB3" * 12,
    "Groq key": "gsk_" + "aB3" * 12,
    "Replicate token": "r8_" + "aB3" * 12,
    "JSON web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize("name", SHAPED)
def test_whatever_has_the_shape_of_a_key_goes(name: str) -> None:
    text = redacted(f"before {SHAPED[name]} after")
    assert text == "before <secret> after"


def test_values_of_variables_go_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", 'quo"ted\\value')
    monkeypatch.setenv("OTHER_PASSWORD", "correct horse battery")
    monkeypatch.setenv("SHORT_TOKEN", "4096")
    monkeypatch.setenv("PUBLIC_NAME", "not-a-secret-value")
    text = redacted('quo"ted\\value; correct horse battery; 4096; not-a-secret-value')
    assert text == "<SOME_API_KEY>; <OTHER_PASSWORD>; 4096; not-a-secret-value"
    assert redacted(json.dumps({"a": 'quo"ted\\value'})) == '{"a": "<SOME_API_KEY>"}'


def test_the_stored_token_of_the_hub_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("stored-without-a-known-shape\n")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_TOKEN_PATH", raising=False)
    assert redacted("got stored-without-a-known-shape back") == "got <stored token> back"


INNOCENT = (
    "http://localhost:8000/v1 and me@example.org",
    "https://example.org:80/x?mail=a@b",
    "see http://example.org/a:b@c",
    '{"url": "http://h:x1", "mail": "a@b"}',
    "http://a:80,http://b:81 mail@x",
    "ssh://git@example.org/x",
    "C:\\Users\\me@work\\12:30",
    "at 12:30:45 user@host:/data/run",
    "password: required for all",
    "Authorization: required by every endpoint",
    "api_key: missing, set it in the environment",
    '"eos_token": "<|endoftext|>", "pad_token": "padding-token-1"',
    "meta-llama/Llama-3.1-8B-Instruct r8_i4 npm_install gsk_8k",
    "the key: a1b2c3d4e5",
    "eyJ.eyJ.x and secretary 12345678",
    "tokens: 12345678, top_k=12345678",
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET https://u:p@h/x", "GET https://<secret>@h/x"),
        ("https://user:pa:ssw0rd12@host/x", "https://<secret>@host/x"),
        ("https://:t0ken@h", "https://<secret>@h"),
        ("postgres://u:pa/ss@h:5432/db", "postgres://<secret>@h:5432/db"),
        ("https://u:p@ss@h/x", "https://<secret>@h/x"),
        ("x-api-key: abcdef0123", "x-api-key: <secret>"),
        ("X-Api-Key=abcdef0123", "X-Api-Key=<secret>"),
        ('{"api_key": "abcdefghij"}', '{"api_key": "<secret>"}'),
        ("{'password': 'correct-horse'}", "{'password': '<secret>'}"),
        ("Authorization: token abcdef0123", "Authorization: token <secret>"),
        ("password=hunter22", "password=<secret>"),
        *((text, text) for text in INNOCENT),
        ("h?a=1&token=abcdefgh12", "h?a=1&token=<secret>"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer <secret>"),
        ("the bearer of good news", "the bearer of good news"),
        ("max_tokens=128 and tokenizer=x", "max_tokens=128 and tokenizer=x"),
        ("loss 0.5 at step 812, sk-learn-baseline", "loss 0.5 at step 812, sk-learn-baseline"),
    ],
    ids=itertools.count(),  # pytest puts names into a variable, and what stands in variables is known
)
def test_urls_headers_and_innocent_words(text: str, shown: str) -> None:
    assert redacted(text) == shown.replace("https", "https")


def test_the_longest_secret_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "abcdefgh")
    monkeypatch.setenv("B_TOKEN", "abcdefghijkl")
    assert redacted("abcdefghijkl") == "<B_TOKEN>"
    assert next(iter(known_secrets())) != "abcdefgh"


def test_files_hold_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    write_json_atomically(tmp_path / "a.json", {"failure": "401 0123456789abcdef", "0123456789abcdef": [1, "x"]})
    write_text_atomically(tmp_path / "a.md", "key 0123456789abcdef and hf_" + "a" * 34)
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "failure": "401 <WANDB_API_KEY>",
        "<WANDB_API_KEY>": [1, "x"],
    }
    assert (tmp_path / "a.md").read_text() == "key <WANDB_API_KEY> and <secret>"


def test_a_stream_passes_everything_on_but_secrets() -> None:
    under = io.StringIO()
    stream = RedactingStream(under)
    assert stream.write("a sk-" + "A1" * 10) == 25
    stream.writelines(["\n", "b"])
    assert under.getvalue() == "a <secret>\nb"
    assert stream.isatty() is False


@pytest.mark.parametrize(
    "text",
    [
        "hf_" + "aB3" * 11,
        "token: sk-proj-" + "a1" * 20,
        "sk-" + "aBcDeFgHiJkLmNoP",
        "sk-ant-api03-" + "x" * 20,
        "ghp_" + "a" * 36,
        "github_pat_" + "a" * 30,
        "AKIA" + "ABCD1234" * 2,
        "AIza" + "x" * 35,
        "xoxb-1234567890-abc",
        "-----BEGIN RSA PRIVATE KEY-----",
        "https://user:pass@example.org/data",
    ],
)
def test_secrets_are_seen(text: str) -> None:
    assert has_credential(f"# note: {text} ")


@pytest.mark.parametrize(
    "text",
    [
        "hf_models/llama",
        "meta-llama/Llama-2-7b-hf",
        "task-sk-1",
        "https://example.org:80/x",
        "a" * 40,
        "sk-learn-baseline-run-number-twelve",
        "learning_rate: 5e-5",
    ],
)
def test_ordinary_text_is_not_a_secret(text: str) -> None:
    assert not has_credential(text)


@pytest.mark.parametrize("key", ["token", "hub_token", "HF_TOKEN", "api_key", "apikey", "openai-api-key", "password"])
def test_names_of_secrets(key: str) -> None:
    assert names_credential(key)


@pytest.mark.parametrize(
    "key", ["tokenizer", "regularized_tokens", "average_tokens_across_devices", "include_num_input_tokens_seen", "key"]
)
def test_names_that_only_sound_like_secrets(key: str) -> None:
    assert not names_credential(key)


def test_a_change_is_shown_without_its_secret() -> None:
    assert redacted_override("base.training.hub_token=abc") == "base.training.hub_token=..."
    assert redacted_override("training.hub_token =abc") == "training.hub_token =..."
    assert redacted_override("seeds=3") == "seeds=3"


@pytest.mark.parametrize("name", ["OPENAI_KEY", "DB_PASS", "GH_PAT", "PASSWORD1", "MYSQL_PWD", "API_KEY_2", "AUTH"])
def test_variables_with_other_names_hold_secrets_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "plainvalue123")
    assert redacted("401 plainvalue123") == f"401 <{name}>"


def test_variables_without_secrets_are_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = {"SORT_KEY": "timestamp", "PWD": "/data/runs/one1", "SSH_KEY": str(tmp_path), "MONKEY": "abcdef0123"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    text = " ".join(values.values())
    assert redacted(text) == text


@pytest.mark.parametrize(
    "value", ["http://me:pa:ss@word1@proxy:3128", "me:pa:ss@word1@proxy:3128"], ids=["url", "bare"]
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy"])
def test_passwords_of_proxies_are_known(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert redacted("denied: pa:ss@word1.") == f"denied: <password in {name}>."


def test_a_variable_that_a_setting_names_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNOCENT_NAME", "grading-is-fun")
    monkeypatch.setattr("balora.redaction._NAMED", set())
    assert redacted("grading-is-fun") == "grading-is-fun"
    hide_variable("INNOCENT_NAME")
    assert redacted("grading-is-fun") == "<INNOCENT_NAME>"


@pytest.mark.parametrize(
    "piece",
    [
        *("://a:", "://:", "://u:p@", "eyJ-", "eyJaaaaaaaaa.", "sk-", "api_key: ", "'api_key':", "Authorization: "),
        *(
            "-----BEGIN PRIVATE KEY-----",
            "Bearer ",
            "npm_",
            "hf_",
            "x",
            " ",
            "@",
            "://" + "u" * 100,
            "?key=",
            "password=",
        ),
    ],
    ids=itertools.count(),
)
def test_time_is_linear_in_the_text(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    began = time.process_time()
    redacted(text)
    has_credential(text)
    assert time.process_time() - began < 2
