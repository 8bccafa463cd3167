"""The methods: one row each, with its paper, what it trains, what it needs and where it cannot go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from balora.errors import ModelError, did_you_mean

Kind = Literal["lora", "additions", "full"]
"""A LoRA-shaped adapter in PEFT; small modules of our own on the outputs of layers; or the model's own weights."""

StartName = Literal["zero", "principal", "minor", "olora", "corda", "corda++", "lora_ga", "eva"]
"""Where the factors begin: B = 0, or factors computed by the module of that name in `adapters/starts`."""


@dataclass(frozen=True, slots=True)
class Method:
    """One way to adapt a pretrained model."""

    name: str
    """The word in a recipe."""
    paper: str
    """arXiv number, or none for full fine-tuning."""
    trains: str
    """Which numbers change."""
    needs: str = ""
    """What it asks for beyond the model: a calibration sample, an optimizer, a callback."""
    not_with: str = ""
    """Where it cannot go; such a run ends in an error before anything is trained."""
    kind: Kind = "lora"
    """What it is made of."""
    start: StartName = "zero"
    """Where the factors begin."""
    anchored: bool = False
    """Whether that start is taken back by an anchor, so that the base stays as it is."""
    calibrated: bool = False
    """Whether the start is computed from a calibration sample."""
    optimizer: Literal["", "loraplus", "lora_fa"] = ""
    """PEFT's optimizer that belongs to it; none: the one of the section `training`."""
    use_rslora: bool = False
    """Scale by alpha/√r instead of alpha/r."""
    use_dora: bool = False
    """Train the columns' magnitudes beside the direction."""
    computed_by: str = "PEFT"
    """Whose implementation it is."""

    @property
    def low_rank(self) -> bool:
        """Whether it is a LoRA-shaped adapter that PEFT saves and loads."""
        return self.kind == "lora"

    @property
    def keeps_base(self) -> bool:
        """Whether the pretrained weights stay, so that turning the adapter off gives the pretrained model."""
        return self.kind != "full"

    @property
    def principal_start(self) -> bool:
        """Whether factors start at the principal singular vectors, with an anchor."""
        return self.start == "principal"


_NO_QUANTIZED = "quantized bases"
_BIASES = "models without biases (Llama, Mistral, Gemma)"
_BLOCKS = "architectures without a row in the table of blocks; merging; PEFT (its files are balora's own)"

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.name: method
        for method in (
            Method("lora", "2106.09685", "A, B"),
            Method("rslora", "2312.03732", "A, B", use_rslora=True),
            Method("dora", "2402.09353", "A, B, magnitudes", use_dora=True),
            Method(
                "adalora",
                "2303.10512",
                "A, B and singular values E; ranks move to where they matter",
                needs="the number of steps, taken from the run; `BALoraTrainer`, whose callback moves the ranks",
                not_with="other trainers (they never move the ranks); resuming with another number of steps",
                computed_by="PEFT, its loop in balora",
            ),
            Method(
                "pissa",
                "2404.02948",
                "A, B from the principal singular vectors",
                start="principal",
                anchored=True,
                computed_by="balora, the same function as PEFT",
            ),
            Method(
                "milora",
                "2406.09044",
                "A, B from the minor singular vectors",
                start="minor",
                anchored=True,
                computed_by="balora",
            ),
            Method("olora", "2406.01775", "A, B from a QR decomposition", start="olora", anchored=True),
            Method(
                "corda",
                "2406.05223",
                "A, B from the weight seen through its inputs' covariance",
                needs="a calibration sample; `corda_mode: kpm` a general text (`calibration.text`)",
                not_with=_NO_QUANTIZED,
                start="corda",
                anchored=True,
                calibrated=True,
            ),
            Method(
                "corda++",
                "2506.13187",
                "as corda; covariance and rank chosen per layer",
                needs="as corda",
                not_with=f"{_NO_QUANTIZED}; rslora's scaling",
                start="corda++",
                anchored=True,
                calibrated=True,
                computed_by="balora on PEFT's covariances",
            ),
            Method(
                "lora_ga",
                "2407.05000",
                "A, B from the singular vectors of the first gradient",
                needs="a calibration sample with labels; twice the rank must fit each layer's smaller side",
                not_with=_NO_QUANTIZED,
                start="lora_ga",
                anchored=True,
                calibrated=True,
            ),
            Method(
                "eva",
                "2410.07170",
                "A, B; A from the principal directions of the inputs, ranks by explained variance",
                needs="a calibration sample",
                not_with="encoder-decoder models; layers that no token of the sample reaches",
                start="eva",
                calibrated=True,
            ),
            Method(
                "loraplus",
                "2402.12354",
                "A, B; B at a higher learning rate",
                needs="its optimizer, set by its name; takes class and settings from the section training",
                optimizer="loraplus",
            ),
            Method(
                "lora_fa",
                "2308.03303",
                "B; A stays at its random start",
                needs="its optimizer, set by its name in place of `training.optim`",
                not_with="DeepSpeed and FSDP; layers that a batch does not reach",
                optimizer="lora_fa",
            ),
            Method(
                "bitfit",
                "2106.10199",
                "biases",
                not_with=_BIASES,
                kind="additions",
                computed_by="balora",
            ),
            Method(
                "houlsby",
                "1902.00751",
                "bottlenecks after attention and feed-forward",
                not_with=_BLOCKS,
                kind="additions",
                computed_by="balora",
            ),
            Method(
                "pfeiffer",
                "2005.00247",
                "bottlenecks after feed-forward",
                not_with=_BLOCKS,
                kind="additions",
                computed_by="balora",
            ),
            Method("full", "", "every weight", kind="full", computed_by="transformers"),
        )
    }
)
"""Name -> method, in the order of the table in the documentation."""

OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "bit_fit": "bitfit",
        "lora+": "loraplus",
        "lora_plus": "loraplus",
        "loraga": "lora_ga",
        "lorafa": "lora_fa",
        "rs_lora": "rslora",
        "ada_lora": "adalora",
        "corda_plus_plus": "corda++",
        "cordapp": "corda++",
        "houlsby_adapter": "houlsby",
        "hadapter": "houlsby",
        "pfeiffer_adapter": "pfeiffer",
        "padapter": "pfeiffer",
        "full_finetuning": "full",
    }
)
"""Another spelling -> the method; hyphens count as underscores and case does not matter."""


def method_name(written: str) -> str:
    """The registry's spelling of a method, or the word as it is where no method is meant.

    >>> method_name("LoRA-GA"), method_name("lora+"), method_name("pisa")
    ('lora_ga', 'loraplus', 'pisa')
    """
    word = written.strip().lower().replace("-", "_")
    if word in METHODS:
        return word
    return OTHER_NAMES.get(word, written)


def find_method(name: str) -> Method:
    """The method of that name.

    Raises:
        ModelError: when there is none; names the closest.
    """
    found = METHODS.get(method_name(name))
    if found is None:
        raise ModelError.at("adapter.method", f"unknown method '{name}'", did_you_mean(name, METHODS))
    return found
