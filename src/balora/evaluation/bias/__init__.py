"""Social bias of language models by published benchmarks, with intervals and base-to-tuned comparisons.

    asked = parse_benchmarks(["crows_pairs=crows_pairs_anonymized.csv", "bold=bold/"])   # --bias NAME=FILE
    items = read_benchmarks(asked, settings)                       # checks every file, before models are loaded
    models = {"base": LanguageModel(model, tokenizer, around=adapters_off), "tuned": LanguageModel(model, tokenizer)}
    report = measure_bias(models, items, settings=settings)
    report.readings       # one plain sentence per benchmark
    report.flat()         # {"crows_pairs/metric_score/tuned": 61.2, ".../tuned/change": 1.3, ".../tuned/p_value": 0.4}
    report.as_dict()      # everything, for JSON

A classifier's encoder is asked through `masked_twin(settings, adapter)`: under the pretrained model's word head.
`BENCHMARKS` lists the names: crows_pairs, stereoset, winobias, winogender, bbq, bold (causal models only).
"""

from balora.evaluation.bias.benchmarks import BENCHMARKS, Benchmark
from balora.evaluation.bias.language_model import LanguageModel, kind_of
from balora.evaluation.bias.likelihood import Blank, ModelKind, Passage, ScoredModel, TokenScores, Writing
from balora.evaluation.bias.masked_twin import UNDER_THE_WORD_HEAD, MaskedTwin, masked_twin
from balora.evaluation.bias.measuring import BiasItems, measure_bias, read_benchmarks
from balora.evaluation.bias.numbers import Change, Measured, Number
from balora.evaluation.bias.options import parse_benchmarks
from balora.evaluation.bias.places import benchmarks_in, source_in
from balora.evaluation.bias.report import BenchmarkReport, BiasReport
from balora.evaluation.bias.settings import BiasSettings

__all__ = [
    "BENCHMARKS",
    "UNDER_THE_WORD_HEAD",
    "Benchmark",
    "BenchmarkReport",
    "BiasItems",
    "BiasReport",
    "BiasSettings",
    "Blank",
    "Change",
    "LanguageModel",
    "MaskedTwin",
    "Measured",
    "ModelKind",
    "Number",
    "Passage",
    "ScoredModel",
    "TokenScores",
    "Writing",
    "benchmarks_in",
    "kind_of",
    "masked_twin",
    "measure_bias",
    "parse_benchmarks",
    "read_benchmarks",
    "source_in",
]
