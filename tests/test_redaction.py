"""Secrets: found by value and by shape, and words that only sound like them stay."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from balora.artefacts import write_json_atomically, write_text_atomically
from balora.redaction import (
    RedactingStream,
    has_credential,
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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET https://u:p@h/x", "GET https://<secret>@h/x"),
        ("h?a=1&token=abcdefgh12", "h?a=1&token=<secret>"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer <secret>"),
        ("the bearer of good news", "the bearer of good news"),
        ("max_tokens=128 and tokenizer=x", "max_tokens=128 and tokenizer=x"),
        ("loss 0.5 at step 812, sk-learn-baseline", "loss 0.5 at step 812, sk-learn-baseline"),
    ],
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
