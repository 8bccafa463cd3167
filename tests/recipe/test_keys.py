"""Known keys, and the way from an unknown one to the right one."""

from __future__ import annotations

import pytest

from balora.recipe.keys import USUAL_KEY, canonical_key, known_keys, section_settings, sections
from balora.training.argument_fields import RefusedError


def refusal(section: str, key: str, value: object = 1) -> str:
    with pytest.raises(RefusedError) as caught:
        canonical_key(section, key, value)
    return f"{caught.value.what}; {caught.value.fix}"


def test_every_field_and_alias_is_known_under_its_own_name() -> None:
    for section, settings in section_settings().items():
        for name in settings.model_fields:
            assert canonical_key(section, name, None) == name
        for alias, name in settings.all_aliases().items():
            assert canonical_key(section, alias, None) == name
    assert canonical_key("training", "warmup_ratio", 0.1) == "warmup_ratio"
    assert canonical_key("", "regularisers", None) == "regularizers"


def test_the_usual_keys_exist() -> None:
    assert set(USUAL_KEY) == set(sections())
    assert all(name in known_keys(section) for section, name in USUAL_KEY.items())


@pytest.mark.parametrize(
    ("section", "key", "said"),
    [
        ("training", "lerning_rate", "did you mean 'learning_rate'?"),
        ("adapter", "lora_alpa", "did you mean 'lora_alpha'?"),
        ("adapter", "learning_rate", "belongs to section training: write training.learning_rate"),
        ("training", "cutoff_len", "belongs to section data: write data.max_length"),
        ("", "learning_rate", "belongs to section training: write training.learning_rate"),
        ("", "seed", "adapter.seed or training.seed"),
        ("", "adaptor", "did you mean 'adapter'?"),
        ("", "lerning_rate", "did you mean training.learning_rate?"),
        ("adapter", "init_lora_weights", "adapter.method is one of lora, rslora"),
        ("training", "batch_size", "write training.per_device_train_batch_size"),
        ("model", "zzzz", "choose one of attn_implementation, double_quantization, dtype"),
        ("training", "wandb_api_key", "do not belong in a recipe"),
        ("training", "hub_token", "do not belong in a recipe"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(section: str, key: str, said: str) -> None:
    assert said in refusal(section, key)


def test_the_value_is_shown_but_never_a_secret_or_a_whole_section() -> None:
    assert "(value 'x')" in refusal("model", "dtyp", "x")
    assert "(value a mapping)" in refusal("", "modl", {"a": 1})
    assert "(value a list)" in refusal("", "modl", [1])
    assert "s3cret" not in refusal("model", "auth_token", "s3cret")
