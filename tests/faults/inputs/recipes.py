"""Recipes as people really write them wrong, beyond those of tests/cli: through the command line."""

from __future__ import annotations

from typing import Any

from tests.cli.conftest import GOOD_RECIPE
from tests.cli.test_malformed_recipes import FILES, OVERRIDES, WHOLE_FILES
from tests.faults.inputs.bench import CLASSES, Case


def _of(section: str, key: str, value: Any, said: str = "", row: int = 41, task: str = "classification") -> Case:
    """One setting that cannot be."""
    name = f"{section}.{key} = {value!r}"[:60]
    return Case(name, f"recipe.yaml:...{section}.{key}: {said}", row, task=task, settings={section: {key: value}})


def _text(name: str, text: str | bytes, said: str, row: int = 41) -> Case:
    return Case(name, said, row, recipe=text)


def _both(name: str, said: str, row: int = 42, task: str = "classification", **sections: Any) -> Case:
    return Case(name, said, row, task=task, settings=sections)


BASE = "task: classification\nmodel: {name_or_path: MODELS/encoder}\ndata: {train: train.jsonl}\n"

FROM_THE_COMMAND_LINE_S_TESTS = [
    *(
        Case(f"file: {name}", f"{place}...{fix}", 41, recipe=GOOD_RECIPE + text)
        for name, (text, place, fix) in FILES.items()
    ),
    *(Case(f"whole: {name}", f"{place}...{fix}", 41, recipe=text) for name, (text, place, fix) in WHOLE_FILES.items()),
    *(
        Case(f"override: {word}", f"{place}...{fix}", 41, recipe=GOOD_RECIPE, overrides=(word,))
        for word, (place, fix) in OVERRIDES.items()
    ),
]
YAML = [
    _text("open list", BASE + "adapter: {target_modules: [a, b}\n", "recipe.yaml:4"),
    _text("indentation", "task: classification\n  model: {name_or_path: m}\n", "recipe.yaml:2: not valid YAML"),
    _text("missing blank", "task:classification\nmodel: {name_or_path: m}\n", "recipe.yaml:"),
    _text("undefined alias", BASE + "adapter: *a\n", "recipe.yaml:4"),
    _text("alias within itself", BASE + "adapter: &a [*a]\n", "recipe.yaml:4"),
    _text("merge key", BASE + "adapter: {<<: {r: 4}}\n", "recipe.yaml:4: merge keys"),
    _text("python tag", BASE + "adapter: !!python/object/apply:os.system [ls]\n", "recipe.yaml:4: the tag"),
    _text("own tag", BASE + "adapter: {r: !env R}\n", "recipe.yaml:4: the tag !env"),
    _text("two documents", BASE + "---\n" + BASE, "recipe.yaml"),
    _text("complex key", BASE + "? [a]\n: 1\n", "recipe.yaml:4: a key is not a word"),
    _text("nested deeply", BASE + "adapter: " + "[" * 3000 + "\n", "recipe.yaml: nested deeper than 30 levels"),
    _text("control character", BASE.encode() + b"# \x07\n", "recipe.yaml"),
    _text("latin-1", BASE.encode() + "# caf\u00e9\n".encode("latin-1"), "recipe.yaml:4: not UTF-8"),
    _text("utf-16", BASE.encode("utf-16"), "recipe.yaml:1: not UTF-8"),
    _text("section twice", BASE + "adapter: {r: 4}\nadapter: {r: 8}\n", "recipe.yaml:5: 'adapter' is given twice"),
    _text(
        "key twice far apart",
        BASE.replace("{train: train.jsonl}", "\n  train: train.jsonl\n  max_length: 8\n  train: b.jsonl"),
        "recipe.yaml:6: 'train' is given twice",
    ),
    _text("a number", b"7\n", "recipe.yaml:1: is 7; write sections"),
    _text("a word", b"classification\n", "recipe.yaml:1: is 'classification'; write sections"),
    _text("json cut", b'{"task": "classification", "model": {', "recipe.yaml:1"),
    _text("rows of data", CLASSES, "recipe.yaml"),
    _text("number as key", BASE + "1: 2\n", "recipe.yaml:4 1: "),
    _text("empty key", BASE + "'': 2\n", "recipe.yaml:4"),
    _text("section as list", BASE + "adapter: [r, 4]\n", "recipe.yaml:4 adapter: ...expected settings below it"),
    _text("training as text", BASE + "training: fast\n", "recipe.yaml:4 training: ...expected settings below it"),
    _text(
        "data as text", "task: classification\nmodel: {name_or_path: m}\ndata: train.jsonl\n", "recipe.yaml:3 data: "
    ),
    _text(
        "model as text",
        "task: classification\nmodel: some/model\ndata: {train: t.jsonl}\n",
        "recipe.yaml:2 model: ...model.name_or_path",
    ),
    _text(
        "model without a name",
        "task: classification\nmodel: {dtype: auto}\ndata: {train: t.jsonl}\n",
        "recipe.yaml:2 model.name_or_path: is missing",
    ),
    _text(
        "only a task",
        "task: classification\n",
        "recipe.yaml model: this section is missing...recipe.yaml data: this section is missing",
    ),
    _text(
        "axolotl",
        BASE + "base_model: x\nmicro_batch_size: 2\nadapter_kind: lora\n",
        "recipe.yaml:4 base_model...recipe.yaml:5 micro_batch_size...recipe.yaml:6 adapter_kind",
    ),
    _text("key of another tool", BASE + "training: {report: wandb}\n", "recipe.yaml:4 training.report: unknown key"),
]
MODEL = [
    _of("model", "dtype", "fp8", "is 'fp8'"),
    _of("model", "dtype", "float23", "is 'float23'; did you mean 'float32'?"),
    _of("model", "dtype", 16, "is '16'"),
    _of("model", "nam_or_path", "x", "unknown key"),
    _of("model", "quantization", "int3", "is 'int3'"),
    _of("model", "quantization", "int4", "is 'int4'; ...nf4"),
    _of("model", "double_quantization", "perhaps", "is 'perhaps'; expected true or false"),
    _of("model", "router_aux_loss_coef", -1, "is -1; expected a value greater"),
    _of("model", "name_or_path", ["a"], "is ['a']; expected text"),
    _of("model", "name_or_path", None, ""),
    _of("model", "revision", {"a": 1}, "is {'a': 1}; expected text"),
]
DATA = [
    _of("data", "max_length", 1, "is 1; expected a value greater than or equal to 2"),
    _of("data", "max_length", "long", "is 'long'; expected a whole number"),
    _of("data", "max_length", 12.5, "is 12.5; expected a whole number"),
    _of("data", "too_long", "cut", "is 'cut'"),
    _of("data", "too_long", "trunc", "is 'trunc'; choose one of truncate, truncate_prompt"),
    _of("data", "on_bad_row", "skip", "is 'skip'"),
    _of("data", "format", "alpacca", "is 'alpacca'; did you mean 'alpaca'?"),
    _of("data", "format", "sharegpt", "is 'sharegpt'"),
    _of("data", "validation", 1.5, "is 1.5; expected a file, a split, or a share"),
    _of("data", "validation", 0, "is 0"),
    _of("data", "validation", -0.1, "is -0.1"),
    _of("data", "validation", True, ""),
    _of("data", "learn_on", "answers", "is 'answers'"),
    _of("data", "max_train_rows", 0, "is 0; expected a value greater"),
    _of("data", "max_train_rows", -5, "is -5; expected a value greater"),
    _of("data", "labels", 2, "is 2"),
    _of("data", "columns", ["text"], "is ['text']"),
    _of("data", "columns", {"text": [1]}, ""),
    _of("data", "header", "maybe", "is 'maybe'; expected true or false"),
    _of("data", "split_seed", "x", "is 'x'; expected a whole number"),
    _of("data", "preset", "ssst2", "no preset is called 'ssst2'; did you mean 'sst2'?"),
    _of("data", "preset", "stsb", "", 15),
    _of("data", "trian", "x", "unknown key...did you mean 'train'?"),
    _both("no training file", "recipe.yaml:6 data: no training data; set train to a file", 44, data={"train": None}),
    _both("a number for a file", "5: unknown kind of file", 44, data={"train": 5}),
    _both("share of noise", "recipe.yaml:...data.corrupt.label_noise: is 2", 41, data={"corrupt": {"label_noise": 2}}),
    _both("unknown flaw", "data.corrupt.noise: ...did you mean 'token_noise'?", 41, data={"corrupt": {"noise": 0.1}}),
    _of("data", "label_words", "words", "", task="generation"),
]
ADAPTER = [
    _of("adapter", "r", 0, "is 0; expected a value greater than or equal to 1", 24),
    _of("adapter", "r", -8, "is -8; expected a value greater", 24),
    _of("adapter", "r", "8x", "is '8x'; expected a whole number", 24),
    _of("adapter", "r", 8.5, "is 8.5; expected a whole number", 24),
    _of("adapter", "r", None, "", 24),
    _of("adapter", "r", [8], "is [8]; expected a whole number", 24),
    _of("adapter", "alpha", 0, "is 0; expected a value greater than 0", 24),
    _of("adapter", "alpha", -16, "is -16; expected a value greater than 0", 24),
    _of("adapter", "dropout", 1, "is 1; expected a value less than 1", 25),
    _of("adapter", "dropout", -0.1, "is -0.1; expected a value greater", 25),
    _of("adapter", "method", "pissaa", "is 'pissaa'; did you mean 'pissa'?", 24),
    _of("adapter", "method", "qlora", "is 'qlora'", 24),
    _of("adapter", "method", 4, "", 24),
    *(_of("adapter", key, True, "is true; expected a") for key in ("r", "alpha", "seed", "svd_iterations", "dropout")),
    _of("adapter", "svd", "fast", "is 'fast'", 24),
    _of("adapter", "svd_iterations", -1, "is -1; expected a value greater", 24),
    _of("adapter", "seed", -1, "is -1", 24),
    _of("adapter", "seed", 2**40, "is 1099511627776", 24),
    _both(
        "a number for modules", "adapter.target_modules: '5' matches no linear layer", 21, adapter={"target_modules": 5}
    ),
    _of("adapter", "target_modules", {"a": 1}, "", 21),
    _of("adapter", "modules_to_save", "classifier", "", 21),
    _of("adapter", "lora_dropot", 0.1, "unknown key", 24),
    _of("adapter", "init_lora_weights", "pissa_niter_x", "", 24),
    _of("adapter", "fold_anchor", "sometimes", "is 'sometimes'; expected true or false", 24),
    _both(
        "fold_anchor without an anchor",
        "recipe.yaml:...adapter.fold_anchor: is true, but lora has no anchor",
        adapter={"method": "lora", "fold_anchor": True},
    ),
    _both(
        "adalora ranks",
        "recipe.yaml:...adapter.adalora_initial_rank: is 2",
        adapter={"method": "adalora", "r": 4, "adalora_initial_rank": 2},
    ),
    _both(
        "adalora shares",
        "recipe.yaml:...adapter.adalora_warmup: is 0.6",
        adapter={"method": "adalora", "adalora_warmup": 0.6, "adalora_final": 0.6},
    ),
    _both(
        "corda without a text",
        "recipe.yaml:...adapter.corda_mode: is 'kpm'",
        adapter={"method": "corda", "corda_mode": "kpm"},
    ),
]
REGULARIZERS = [
    _of("regularizers", "consistency_weight", -1, "is -1; expected a value greater"),
    _of("regularizers", "consistency_weight", "high", "is 'high'; expected a number"),
    _text(
        "infinite weight",
        BASE + "regularizers: {diversity_weight: .inf}\n",
        "recipe.yaml:4 regularizers.diversity_weight: is inf; expected a finite number",
    ),
    _of("regularizers", "temperature", 0, "is 0; expected a value greater than 0"),
    _of("regularizers", "temperature", -2, "is -2; expected a value greater than 0"),
    _of("regularizers", "top_k", 0, "is 0; expected a value greater"),
    _of("regularizers", "spectral_k", 0, "is 0", 29),
    _of("regularizers", "spectral_k", -3, "is -3", 29),
    _of("regularizers", "lambda4", 0.1, "unknown key"),
    _of("regularizers", "consistency_schedule", "linear", "is 'linear'"),
    _of("regularizers", "formulation", "2025", "is '2025'"),
    _of("regularizers", "teacher", "none", ""),
    _of("regularizers", "teacher_head", "probe", "is 'probe'"),
    _of("regularizers", "center", "rows", "is 'rows'"),
    _of("regularizers", "loss_chunk_mib", 0, "is 0; expected a value greater"),
    _of(
        "regularizers",
        "teacher_head",
        "linear_probe",
        "is 'linear_probe', which is for classification",
        42,
        "generation",
    ),
    _of("regularizers", "form", "nlu", "is 'nlu', but task generation uses 'nlg'", 42, "generation"),
]
TRAINING = [
    _of("training", "learning_rate", "fast", "is 'fast'; expected a number"),
    _of("training", "learning_rate", -1e-4, "is -0.0001; expected a value greater"),
    _of("training", "learning_rate", True, "is true; expected a number"),
    _of("training", "lr", 1e-4, "unknown key"),
    _of("training", "learning_rat", 1e-4, "unknown key (value 0.0001); did you mean 'learning_rate'?"),
    _of("training", "num_train_epochs", 0, "is 0; expected a value greater than 0"),
    _of("training", "num_train_epochs", -3, "is -3; expected a value greater than 0"),
    _of("training", "max_steps", -5, "is -5; expected a value greater"),
    _of("training", "max_steps", "all", "is 'all'; expected a whole number"),
    _of("training", "per_device_train_batch_size", 0, "is 0; expected a value greater", 28),
    _of("training", "per_device_train_batch_size", 2.5, "is 2.5; expected a whole number", 28),
    _of("training", "per_device_train_batch_size", "auto", "is 'auto'; expected a whole number", 28),
    _of("training", "gradient_accumulation_steps", 0, "is 0; expected a value greater"),
    _of("training", "warmup_steps", -1, "is -1; expected a value greater"),
    _of("training", "warmup_ratio", 3, ""),
    _of("training", "weight_decay", "none", "is 'none'; expected a number"),
    _of("training", "max_grad_norm", -1, "is -1; expected a value greater"),
    _of("training", "seed", 1.5, "is 1.5; expected a whole number"),
    _of("training", "seed", -1, "is -1; expected a value greater"),
    _of("training", "lr_scheduler_type", "cosinus", "is 'cosinus'; did you mean 'cosine'?"),
    _of("training", "lr_scheduler_kwargs", [1], "is [1]; expected a mapping"),
    _of("training", "optim", "adamw", "is 'adamw'; choose one of"),
    _of("training", "optim", "sgdm", "is 'sgdm'"),
    _of("training", "bf16", "perhaps", "is 'perhaps'; expected true or false"),
    _of("training", "eval_strategy", "epochs", "is 'epochs'; did you mean 'epoch'?"),
    _of("training", "save_strategy", "never", "is 'never'"),
    _of("training", "save_total_limit", 0, "is 0; expected a value greater"),
    _of("training", "logging_steps", 0, "is 0; expected a value greater than 0"),
    _of("training", "adam_beta1", 1.5, "is 1.5; expected a value less than 1"),
    _of("training", "label_smoothing_factor", 2, "is 2; expected a value less than 1"),
    _of("training", "report_to", "wandbb", "is 'wandbb'; did you mean 'wandb'?"),
    _of("training", "output_dir", "x", "cannot be set here; ...output.dir"),
    _of("training", "resume_from_checkpoint", "x", "cannot be set here"),
    _of("training", "push_to_hub", True, ""),
    _of("training", "dataloader_num_workers", -1, "is -1; expected a value greater"),
    _of("training", "adam_epsilon", 0, "is 0; expected a value greater than 0"),
]
CONTRADICTIONS = [
    _both(
        "half precision twice",
        "recipe.yaml:...training.fp16: fp16 and bf16 are both true",
        training={"fp16": True, "bf16": True},
    ),
    _both("steps and epochs of evaluation", "training.", training={"eval_strategy": "epoch"}),
    _both(
        "best model without validation",
        "training.load_best_model_at_end: is true, but there is no validation split; set data.validation",
        training={"load_best_model_at_end": True},
    ),
    _both(
        "best without a score",
        "recipe.yaml:...training.save_strategy: is 'best', but nothing says which score",
        training={"save_strategy": "best"},
    ),
    _both(
        "plateau without validation",
        "training.lr_scheduler_type: is 'reduce_lr_on_plateau', but there is no validation split",
        training={"lr_scheduler_type": "reduce_lr_on_plateau"},
    ),
    _both(
        "saving out of step with evaluation",
        "training",
        data={"validation": 0.25},
        training={
            "load_best_model_at_end": True,
            "eval_strategy": "steps",
            "eval_steps": 2,
            "save_strategy": "steps",
            "save_steps": 3,
        },
    ),
    _both(
        "prefetch without workers",
        "recipe.yaml:...training.dataloader_prefetch_factor: needs worker processes",
        training={"dataloader_prefetch_factor": 2},
    ),
    _both(
        "both warm-ups",
        "recipe.yaml:...training.warmup_steps: 'warmup_ratio' already sets warmup_steps",
        training={"warmup_ratio": 0.1, "warmup_steps": 10},
    ),
    _both(
        "two evaluation batches",
        "recipe.yaml:...evaluation.batch_size: is 2",
        evaluation={"batch_size": 2},
        training={"per_device_eval_batch_size": 4},
    ),
    _both("patience without a score", "recipe.yaml:...evaluation: patience needs a score", evaluation={"patience": 2}),
    _both(
        "best of a single evaluation",
        "recipe.yaml:...evaluation: keep_best compares evaluations",
        evaluation={"keep_best": "loss", "every": "end"},
    ),
    _both(
        "unknown score to keep",
        "recipe.yaml:...evaluation.keep_best: is 'acuracy'; did you mean 'accuracy'?",
        evaluation={"keep_best": "acuracy"},
    ),
    _both(
        "evaluation twice over",
        "recipe.yaml:...training.eval_strategy",
        evaluation={"every": 5},
        training={"eval_strategy": "epoch"},
    ),
    _both(
        "evaluation later than the end",
        "evaluation.every: is 50 steps, but the run has 2",
        data={"validation": 0.25},
        evaluation={"every": 50, "keep_best": "loss"},
        training={"save_strategy": "steps", "save_steps": 50},
    ),
    _both(
        "evaluation steps beyond the run",
        "training.eval_steps: is 50 steps, but the run has 2",
        data={"validation": 0.25},
        training={
            "eval_strategy": "steps",
            "eval_steps": 50,
            "load_best_model_at_end": True,
            "save_strategy": "steps",
            "save_steps": 50,
        },
    ),
    _both("score of another task", "recipe.yaml:...evaluation.metrics", evaluation={"metrics": ["pearson"]}),
    _both("unknown score", "recipe.yaml:...evaluation.metrics", evaluation={"metrics": ["accurracy"]}),
    _both("evaluation every zero steps", "recipe.yaml:...evaluation.every: is 0", evaluation={"every": 0}),
    _both(
        "evaluation without validation",
        "training.eval_strategy: is 'steps', but there is no validation split",
        evaluation={"every": 5},
    ),
    _both(
        "no full batch",
        "training.dataloader_drop_last: 8 rows give no full batch of 32",
        28,
        training={"dataloader_drop_last": True, "per_device_train_batch_size": 32},
    ),
    _both("rank above the model", "adapter.r: rank 999 exceeds the smaller side", 23, adapter={"r": 999}),
    _both(
        "every problem at once",
        "adapter.rr...training.sed...training.bf16",
        41,
        adapter={"rr": 8},
        training={"sed": 1, "bf16": "maybe"},
    ),
    _both(
        "recipe, data and adapter at once",
        "adapter.target_modules: no linear layer is named 'vv_proj'...training.metric_for_best_model",
        41,
        data={"validation": 0.25},
        adapter={"target_modules": ["vv_proj"]},
        training={"metric_for_best_model": "acuracy"},
    ),
    _both(
        "settings of two rooms at once",
        "training.load_best_model_at_end...nothing.jsonl",
        42,
        data={"train": "nothing.jsonl"},
        training={"load_best_model_at_end": True},
    ),
    _both(
        "schedule arguments",
        "training.lr_scheduler_kwargs: ",
        training={"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": {"cycles": 2}},
    ),
    _both(
        "attention nobody has",
        "model.attn_implementation: 'flash_attention_7' cannot be used",
        model={"attn_implementation": "flash_attention_7"},
    ),
    _both("liger that is not there", "training.use_liger_kernel: true, but", training={"use_liger_kernel": True}),
    _both("quantization settings without it", "model.quantization: ", model={"double_quantization": True}),
    _both(
        "a cache that is a file",
        "regularizers.teacher_cache_dir: ",
        42,
        regularizers={"teacher_cache_dir": "recipe.yaml"},
    ),
]
FOLDERS = [
    _both("output is a file", "output.dir: 'recipe.yaml' is a file", 39, output={"dir": "recipe.yaml"}),
    _both("output below a file", "output.dir: ", 39, output={"dir": "recipe.yaml/run"}),
    _both("output of a very long name", "output.dir: ", 40, output={"dir": "x" * 300}),
    _both("output that is empty", "output.dir", 40, output={"dir": ""}),
    _both("unknown key of output", "recipe.yaml:...output.dri: unknown key", 41, output={"dri": "x"}),
    _both("output is here", "output.dir: '.' already holds files", 39, output={"dir": "."}),
]
CASES = [
    *FROM_THE_COMMAND_LINE_S_TESTS,
    *YAML,
    *MODEL,
    *DATA,
    *ADAPTER,
    *REGULARIZERS,
    *TRAINING,
    *CONTRADICTIONS,
    *FOLDERS,
]
