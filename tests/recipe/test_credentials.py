"""What looks like a secret, and what only sounds like one."""

from __future__ import annotations

import pytest

from balora.recipe.credentials import has_credential, names_credential


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
