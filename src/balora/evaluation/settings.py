"""Which scores are computed while and after training, and how `balora evaluate` scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from balora.evaluation.bias.settings import BiasSettings
from balora.evaluation.judge.settings import JudgeSettings
from balora.settings import Settings


class EvaluationSettings(Settings):
    """Scores on the validation split."""

    metrics: list[str] | None = None
    """Names from the metric table. Left out: those of the preset, else those usual for the task."""
    batch_size: int | None = Field(default=None, ge=1)
    """Rows per device and batch. Left out: twice the training batch."""
    every: int | Literal["epoch", "end"] | None = None
    """When the validation split is scored: after so many steps, after each epoch, or only at the end. Left out: what
    `training` says, else after each epoch."""
    keep_best: str | None = None
    """A score from `metrics`, or `loss`: the run ends with the weights of the best evaluation, and checkpoints follow
    the evaluations."""
    patience: int | None = Field(default=None, ge=1)
    """Stop after so many evaluations without a better `keep_best` score."""
    min_improvement: float = Field(default=0.0, ge=0)
    """How much better a score must be to count as better, for `patience`."""

    @field_validator("every", mode="after")
    @classmethod
    def _steps_are_positive(cls, value: int | str | None) -> int | str | None:
        if isinstance(value, int) and value < 1:
            raise ValueError(f"every is {value}; expected a number of steps from 1 on, epoch or end")
        return value

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.patience is not None and self.keep_best is None:
            raise ValueError("patience needs a score that should improve; set keep_best, for example loss")
        if self.min_improvement and self.patience is None:
            raise ValueError("min_improvement is for patience; set patience, or remove it")
        if self.keep_best is not None and self.every == "end":
            raise ValueError("keep_best compares evaluations, but every 'end' makes only one; set every to epoch")
        return self


class ScoringSettings(Settings):
    """How `balora evaluate` scores; every value is written into the result file."""

    aliases: ClassVar[Mapping[str, str]] = {"n": "samples", "num_fewshot": "shots", "max_gen_toks": "max_new_tokens"}

    batch_size: int = Field(default=16, ge=1)
    """Items per forward."""
    seed: int = Field(default=0, ge=0)
    """Of sampling, of the choice of few-shot examples, and of the resampling behind intervals."""
    resamples: int = Field(default=2000, ge=100)
    """Bootstrap resamples."""
    trained_on: str | None = None
    """Task of the head (cola, sst2, mnli, ...), where the run's recipe has no preset."""
    max_length: int | None = Field(default=None, ge=2)
    """Classification and regression: longest example in tokens. Left out: as in training, else 512."""
    template: str | None = None
    """Label words: the prompt of training, with {text} and {text_pair}. Left out: T5's own."""
    label_words: list[str] | None = None
    """Label words: what the model was trained to write, in the order of the classes. Left out: T5's own."""
    shots: int | None = Field(default=None, ge=0)
    """Generation: few-shot examples in place of the suite's own number."""
    max_new_tokens: int | None = Field(default=None, ge=1)
    """Generation: most tokens per text. Left out: the suite's own number, at most half of the model's positions."""
    samples: int = Field(default=1, ge=1)
    """Generation: texts per item; more than one needs a temperature."""
    temperature: float = Field(default=0.0, ge=0)
    """Generation: 0 is greedy."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Generation: share of the probability that is sampled from."""
    chat: bool = False
    """Generation: put prompts into the tokenizer's chat template."""
    judge: JudgeSettings | None = None
    """MT-Bench: the judge model, for example judge.model=NAME and judge.base_url=URL."""
    spend: bool = False
    """MT-Bench: ask the judge although that may cost money; the estimate is shown first either way."""
    bias: BiasSettings | None = Field(default=None, exclude_if=lambda value: value is None)
    """Bias benchmarks: their own rules, for example bias.sentence_score=per_token."""
    unsandboxed: bool = False
    """Run generated code although no sandbox can be had here."""
    on_bad_row: Literal["error", "drop"] = "error"
    """What happens to rows of a test set with a missing or unusable value."""

    @field_validator("label_words", mode="before")
    @classmethod
    def _words_from_text(cls, value: Any) -> Any:
        return [word.strip() for word in value.split(",")] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("samples above 1 are all the same when greedy; set temperature, for example 0.8")
        if self.top_p < 1 and self.temperature == 0:
            raise ValueError("top_p has no effect when greedy; set temperature")
        return self
