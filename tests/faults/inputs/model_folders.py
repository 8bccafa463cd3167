"""Model folders and adapters that are damaged, of another kind, or do not fit each other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.faults.inputs.bench import Bench, Build, Case
from tests.support import tiny
from tests.support.folders import save_tiny

HERE = {"name_or_path": "./model"}
Tensors = dict[str, torch.Tensor]


def _copy(name: str, change: Callable[[Path], None]) -> Build:
    def build(folder: Path, bench: Bench) -> None:
        shutil.copytree(bench.models / name, folder / "model")
        change(folder / "model")

    return build


def _config(**changes: Any) -> Callable[[Path], None]:
    def change(model: Path) -> None:
        path = model / "config.json"
        values = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))

    return change


def _without(*names: str) -> Callable[[Path], None]:
    def change(model: Path) -> None:
        for name in names:
            (model / name).unlink()

    return change


def _write(name: str, content: str | bytes) -> Callable[[Path], None]:
    def change(model: Path) -> None:
        (model / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return change


def _cut(name: str, keep: int) -> Callable[[Path], None]:
    def change(model: Path) -> None:
        (model / name).write_bytes((model / name).read_bytes()[:keep])

    return change


def _tensors(edit: Callable[[Tensors], Tensors], name: str = "model.safetensors") -> Callable[[Path], None]:
    def change(model: Path) -> None:
        tensors = edit(load_file(model / name))
        save_file(tensors, model / name, metadata={"format": "pt"})

    return change


def _index(shards: Mapping[str, str]) -> Callable[[Path], None]:
    def change(model: Path) -> None:
        (model / "model.safetensors").unlink()
        (model / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))

    return change


def _torn_index(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "model.safetensors.index.json").write_text("{")


def _longer(model: Path) -> None:
    with (model / "model.safetensors").open("ab") as stream:
        stream.write(b"\x00")


def _two_classes_head(model: Path) -> None:
    """A checkpoint whose head was trained on five classes."""
    shutil.rmtree(model)
    save_tiny(model, "roberta", "sequence_classification", num_labels=5)


def _more_tokens(model: Path) -> None:
    tokenizer = tiny.character_tokenizer()
    tokenizer.add_tokens(["[one]", "[two]"])
    tokenizer.save_pretrained(model)


def _no_padding(model: Path) -> None:
    names = model / "tokenizer.json"
    names.write_text(names.read_text().replace("<pad>", "<gap>"))
    path = model / "tokenizer_config.json"
    values = json.loads(path.read_text())
    for name in ("pad_token", "unk_token", "eos_token"):
        values.pop(name, None)
    path.write_text(json.dumps(values))


def _not_a_number(tensors: Tensors) -> Tensors:
    name = next(name for name in tensors if name.endswith("query.weight"))
    tensors[name] = tensors[name].clone()
    tensors[name][0, 0] = float("nan")
    return tensors


def _tokenizer_config(**changes: Any) -> Callable[[Path], None]:
    def change(model: Path) -> None:
        path = model / "tokenizer_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def _encoder(name: str, change: Callable[[Path], None], said: str, row: int = 37, **sections: Any) -> Case:
    return Case(name, said, row, settings={"model": HERE, **sections}, prepare=_copy("encoder", change))


def _decoder(name: str, change: Callable[[Path], None], said: str, row: int = 37, **sections: Any) -> Case:
    return Case(name, said, row, "generation", settings={"model": HERE, **sections}, prepare=_copy("decoder", change))


def _named(name: str, said: str, row: int, task: str = "classification", **sections: Any) -> Case:
    return Case(name, said, row, task, settings=sections)


MODELS = [
    _named(
        "no such folder",
        "model.name_or_path: the folder './nothing' does not exist; check",
        44,
        model={"name_or_path": "./nothing"},
    ),
    _named(
        "no such absolute folder",
        "model.name_or_path: the folder '/nothing/here' does not exist",
        44,
        model={"name_or_path": "/nothing/here"},
    ),
    _named(
        "not in the cache",
        "model.name_or_path: 'some/model' is no local folder, not in the cache",
        44,
        model={"name_or_path": "some/model"},
    ),
    _named(
        "no such tokenizer",
        "model.tokenizer: 'some/tokenizer' is no local folder, not in the cache",
        44,
        model={"tokenizer": "some/tokenizer"},
    ),
    _named("a file for a folder", "model.name_or_path: ", 44, model={"name_or_path": "./recipe.yaml"}),
    _named(
        "model and data missing at once",
        "model.name_or_path: the folder './nothing' does not exist...x.csv: no such file",
        44,
        model={"name_or_path": "./nothing"},
        data={"train": "x.csv"},
    ),
    _encoder("no config", _without("config.json"), "model.name_or_path: ...'./model'"),
    _encoder("config that is no JSON", _write("config.json", "{"), "model.name_or_path: ...'./model'"),
    _encoder("config that is a list", _write("config.json", "[]"), "model.name_or_path: "),
    _encoder("config without a type", _config(model_type=None), "model.name_or_path: ...'./model'"),
    _encoder("config of an unknown type", _config(model_type="brandnew"), "model.name_or_path: ...'./model'"),
    _encoder("heads that do not divide", _config(num_attention_heads=5), "model.name_or_path: ...'./model'"),
    _encoder(
        "no tokenizer",
        _without("tokenizer.json", "tokenizer_config.json"),
        "model.name_or_path: './model' holds no tokenizer",
        19,
    ),
    _encoder("tokenizer that is no JSON", _write("tokenizer.json", "{"), "model.name_or_path: ...'./model'", 19),
    *(
        _encoder(
            f"quantized by {method}",
            _config(quantization_config={"quant_method": method}),
            "model.name_or_path: the weights of './model' are quantized in a way that cannot be read (...; install",
        )
        for method in ("gptq", "nonsense")
    ),
    _encoder(
        "padding id beyond the positions",
        _config(pad_token_id=5000),
        "model.name_or_path: config.json says pad_token_id 5000, which leaves none of its ...; correct it",
    ),
    _encoder(
        "tokenizer with a length in words",
        _tokenizer_config(model_max_length="abc"),
        "model.name_or_path: model_max_length in tokenizer_config.json of './model' is 'abc', expected a number",
        19,
    ),
    _encoder(
        "tokenizer with more ids",
        _more_tokens,
        "model.tokenizer: the tokenizer has 98 ids, the model 96 embeddings; is it the wrong tokenizer",
        19,
    ),
    _decoder(
        "nothing to pad with",
        _no_padding,
        "model.tokenizer: the tokenizer of './model' has no padding, unknown or end token",
        18,
    ),
    _encoder("no weights", _without("model.safetensors"), "model.name_or_path: the folder 'model' holds no weights"),
    _encoder(
        "weights cut",
        _cut("model.safetensors", 2000),
        "model.name_or_path: 'model/model.safetensors' is no whole safetensors file",
    ),
    _encoder(
        "weights one byte short",
        _cut("model.safetensors", -1),
        "model.name_or_path: 'model/model.safetensors' is no whole safetensors file",
    ),
    _encoder(
        "weights one byte long",
        _longer,
        "model.name_or_path: 'model/model.safetensors' is no whole safetensors file",
    ),
    _encoder(
        "weights empty",
        _write("model.safetensors", b""),
        "model.name_or_path: 'model/model.safetensors' is no whole safetensors file",
    ),
    _encoder(
        "weights that are text",
        _write("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "model.name_or_path: 'model/model.safetensors' is no whole safetensors file",
    ),
    _encoder(
        "weights of another width",
        _config(hidden_size=64, intermediate_size=96),
        "model.name_or_path: ...is ...but ...is needed; its config.json does not belong",
    ),
    _encoder(
        "weights of another model",
        _tensors(lambda t: {f"other.{n}": v for n, v in t.items()}),
        "model.name_or_path: './model' holds no weight of a roberta model",
    ),
    _encoder(
        "weights of another vocabulary",
        _config(vocab_size=200),
        "model.name_or_path: 'embeddings.word_embeddings.weight' of './model' is 96×32, but 200×32 is needed; "
        "its config.json does not belong",
    ),
    _encoder(
        "weights without a layer",
        _tensors(lambda t: {n: v for n, v in t.items() if "layer.1." not in n}),
        "model.name_or_path: './model' lacks 16 weights of its blocks (roberta.encoder.layer.1",
    ),
    Case(
        "weights that are NaN",
        "model.name_or_path: 1 tensors of './model' hold NaN or inf (first roberta.encoder.layer.0",
        37,
        settings={"model": HERE},
        prepare=_copy("encoder", _tensors(_not_a_number)),
        validate_misses="the numbers of a model are read only when it is loaded",
    ),
    _encoder(
        "head of other classes",
        _two_classes_head,
        "model.name_or_path: 'classifier.out_proj.weight' of './model' is 5×32, but 2×32 is needed; "
        "use a model without a head",
        38,
    ),
    _encoder(
        "a shard missing",
        _index({"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}),
        "model.name_or_path: 2 of 2 weight files are missing",
    ),
    _encoder("an index of nothing", _index({}), "model.name_or_path: "),
    _encoder(
        "an index that is no JSON",
        _torn_index,
        "model.name_or_path: ",
    ),
    Case(
        "an encoder that should write",
        "model.name_or_path: ...is an encoder (BertForMaskedLM) and cannot generate text; use a decoder",
        38,
        "generation",
        settings={"model": HERE},
        prepare=_copy("encoder", _config(architectures=["BertForMaskedLM"], model_type="bert")),
    ),
    _decoder(
        "rank above a layer", lambda m: None, "adapter.r: rank 40 exceeds the smaller side", 23, adapter={"r": 40}
    ),
    _decoder(
        "layer that is not there",
        lambda m: None,
        "adapter.target_modules: no linear layer is named 'vv_proj'...did you mean 'v_proj'?",
        22,
        adapter={"target_modules": ["q_proj", "vv_proj"]},
    ),
    _decoder(
        "layers of another family",
        lambda m: None,
        "'query'...'value'",
        21,
        adapter={"target_modules": ["query", "value"]},
    ),
    _decoder(
        "expression that matches nothing",
        lambda m: None,
        "matches no linear layer; layers that exist",
        21,
        adapter={"target_modules": "h.[0-9]+"},
    ),
    _decoder(
        "expression that is none",
        lambda m: None,
        "adapter.target_modules: '(' is no regular expression",
        21,
        adapter={"target_modules": "("},
    ),
    _decoder(
        "empty list of layers",
        lambda m: None,
        "adapter.target_modules: the list is empty",
        21,
        adapter={"target_modules": []},
    ),
    _decoder(
        "module to save that is not there",
        lambda m: None,
        "adapter.modules_to_save: no module is named 'lm_heads'; did you mean 'lm_head'?",
        21,
        adapter={"modules_to_save": ["lm_heads"]},
    ),
    _decoder("biases that are not there", lambda m: None, "bitfit", 21, adapter={"method": "bitfit"}),
    _decoder(
        "a router loss without routers",
        lambda m: None,
        "model.router_aux_loss_coef: 'llama' has no load-balancing loss",
        42,
        model={**HERE, "router_aux_loss_coef": 0.1},
    ),
]


QUESTIONS = json.dumps({"question": "What is 1 + 1?", "answer": "#### 2"}) + "\n"
ADAPTER_FILE = "adapter/adapter_model.safetensors"
SCORE = ("evaluate", "adapter", "--suite", "gsm8k", "--data", "questions.jsonl", "max_new_tokens=2", "shots=0")


def _adapter(name: str, change: Callable[[Path], None], said: str, row: int = 37, *more: str) -> Case:
    def build(folder: Path, bench: Bench) -> None:
        shutil.copytree(bench.models / "adapter", folder / "adapter")
        (folder / "questions.jsonl").write_text(QUESTIONS)
        change(folder / "adapter")

    return Case(name, said, row, prepare=build, command=(*SCORE, *more))


def _adapter_config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def _adapter_tensors(edit: Callable[[Tensors], Tensors]) -> Callable[[Path], None]:
    return _tensors(edit, "adapter_model.safetensors")


def _renamed(old: str, new: str) -> Callable[[Path], None]:
    return _adapter_tensors(lambda t: {name.replace(old, new): value for name, value in t.items()})


def _first(t: Tensors, value: float) -> Tensors:
    name = sorted(t)[0]
    t[name] = t[name].clone()
    t[name].view(-1)[3] = value
    return t


def _dropped(ending: str, layer: str) -> Callable[[Path], None]:
    return _adapter_tensors(lambda t: {n: v for n, v in t.items() if not (layer in n and n.endswith(ending))})


def _another_base(folder: Path) -> None:
    save_tiny(folder.parent / "wide", "llama", hidden_size=48)
    _adapter_config(base_model_name_or_path="wide")(folder)


def _another_family(folder: Path) -> None:
    save_tiny(folder.parent / "gpt2", "gpt2")
    _adapter_config(base_model_name_or_path="gpt2")(folder)


SMALL = "adapter_model.safetensors"
ADAPTERS = [
    Case("no such run", "nothing: no such folder; name a run folder", 44, command=("evaluate", "nothing")),
    Case(
        "an empty folder",
        "run: holds neither adapter_config.json",
        37,
        command=("evaluate", "run"),
        prepare=lambda folder, _: (folder / "run").mkdir(),
    ),
    _adapter("adapter without weights", _without(SMALL), "adapter: holds no adapter_model.safetensors"),
    _adapter("adapter config that is no JSON", _write("adapter_config.json", "{"), "adapter_config.json: "),
    _adapter("adapter config that is a list", _write("adapter_config.json", "[]"), "adapter_config.json: "),
    _adapter(
        "adapter of another task",
        _adapter_config(task_type="TOKEN_CLS"),
        "adapter_config.json: task_type is TOKEN_CLS; balora evaluates",
    ),
    _adapter(
        "adapter without a base",
        _adapter_config(base_model_name_or_path=None),
        "adapter_config.json: names no base model; name it with --model",
    ),
    _adapter(
        "adapter of a base that is gone",
        _adapter_config(base_model_name_or_path="./gone"),
        "the folder './gone' does not exist",
        38,
    ),
    *(
        _adapter(
            f"adapter config with {name}",
            _adapter_config(**changes),
            f"adapter_config.json: {said}...; save the adapter again",
        )
        for name, changes, said in (
            ("alpha NaN", {"lora_alpha": float("nan")}, "'lora_alpha' is nan, expected a finite number"),
            ("alpha infinite", {"lora_alpha": float("inf")}, "'lora_alpha' is inf, expected a finite number"),
            ("a huge alpha", {"lora_alpha": 10**400}, "'lora_alpha' is 1000...expected a finite number"),
            ("alpha as text", {"lora_alpha": "x"}, "'lora_alpha' is 'x', expected a finite number"),
            ("rank as text", {"r": "8"}, "'r' is '8', expected a whole number from 1"),
            ("rank true", {"r": True}, "'r' is True, expected a whole number from 1"),
            ("rank zero", {"r": 0}, "'r' is 0, expected a whole number from 1"),
            ("dropout 1", {"lora_dropout": 1}, "'lora_dropout' is 1, expected a number from 0 to below 1"),
            ("an unknown task", {"task_type": "FOO"}, "'task_type' is 'FOO', expected a task that PEFT knows"),
            ("an unknown kind", {"peft_type": "FOO"}, "'peft_type' is 'FOO', expected a kind"),
            ("alpha_pattern a list", {"alpha_pattern": [1]}, "'alpha_pattern' is [1], expected an object"),
            ("alpha_pattern NaN", {"alpha_pattern": {"q": float("nan")}}, "'alpha_pattern' gives 'q' nan, expected"),
            ("rank_pattern true", {"rank_pattern": {"q": True}}, "'rank_pattern' gives 'q' True, expected"),
            ("layers as text", {"layers_to_transform": "all"}, "'layers_to_transform' is 'all', expected"),
            (
                "a start that never ends",
                {"init_lora_weights": "pissa_niter_99999999"},
                "'init_lora_weights' is 'pissa_niter_99999999', expected...at most 1000 iterations",
            ),
            ("an unknown start", {"init_lora_weights": "foo"}, "'init_lora_weights' is 'foo', expected"),
            ("targets as numbers", {"target_modules": [1]}, "'target_modules' is [1], expected names"),
            ("a flag as text", {"use_dora": "no"}, "'use_dora' is 'no', expected true or false"),
        )
    ),
    _adapter(
        "adapter config with two faults",
        _adapter_config(r="8", lora_alpha="x"),
        "'r' is '8', expected...'lora_alpha' is 'x', expected",
    ),
    _adapter(
        "adapter config of another kind",
        _adapter_config(peft_type="PROMPT_TUNING"),
        "adapter_config.json: 'peft_type' is 'PROMPT_TUNING', but adapter_model.safetensors holds...expected LORA",
    ),
    _adapter(
        "adapter config with ranks for an endless pattern",
        _adapter_config(rank_pattern={"(.*)*x": 1}),
        "adapter_config.json: 'rank_pattern' is no plain pattern of names; list the names",
    ),
    _adapter(
        "adapter config with alphas for an endless pattern",
        _adapter_config(alpha_pattern={".*" * 9 + "x": 1}),
        "adapter_config.json: 'alpha_pattern' is no plain pattern of names; list the names",
    ),
    _adapter("data of nobody", lambda _: None, "the home folder of '~nobody", 44, "--data", "~nobodyxyz/a.jsonl"),
    _adapter("adapter cut", _cut(SMALL, 600), f"{ADAPTER_FILE}: is no whole safetensors file"),
    _adapter("adapter empty", _write(SMALL, b""), f"{ADAPTER_FILE}: is no whole safetensors file"),
    _adapter("adapter of zeros", _write(SMALL, b"\0" * 4000), f"{ADAPTER_FILE}: is no whole safetensors file"),
    _adapter(
        "adapter that is a pickle", _write(SMALL, b"\x80\x04K\x07."), f"{ADAPTER_FILE}: is no whole safetensors file"
    ),
    _adapter(
        "adapter with NaN",
        _adapter_tensors(lambda t: _first(t, float("nan"))),
        f"{ADAPTER_FILE}: ...holds 1 numbers that are not finite",
    ),
    _adapter(
        "adapter with infinity",
        _adapter_tensors(lambda t: _first(t, float("inf"))),
        f"{ADAPTER_FILE}: ...holds 1 numbers that are not finite",
    ),
    _adapter(
        "adapter without one tensor",
        _dropped("lora_B.weight", "0.self_attn.q_proj"),
        f"{ADAPTER_FILE}: ...q_proj.lora_B.weight' is missing",
    ),
    _adapter(
        "adapter without one layer",
        _dropped(".weight", "0.self_attn.q_proj"),
        f"{ADAPTER_FILE}: holds nothing for 'model.layers.0.self_attn.q_proj'",
    ),
    _adapter("adapter without tensors", _adapter_tensors(lambda t: {}), f"{ADAPTER_FILE}: holds nothing for"),
    _adapter(
        "adapter of another rank", _adapter_config(r=8), f"{ADAPTER_FILE}: ...has rank 4, adapter_config.json says 8"
    ),
    _adapter(
        "adapter of renamed layers",
        _renamed("q_proj", "query"),
        f"{ADAPTER_FILE}: ...has no layer 'model.layers.0.self_attn.query'",
    ),
    _adapter(
        "adapter of a deeper model",
        _renamed("layers.1", "layers.9"),
        f"{ADAPTER_FILE}: ...has no layer 'model.layers.9",
        38,
    ),
    _adapter(
        "adapter of a wider model",
        _another_base,
        f"{ADAPTER_FILE}: ...was adapted with a side of 32, in 'wide' it has 48; name the model",
        38,
    ),
    _adapter("adapter of another family", _another_family, f"{ADAPTER_FILE}: 'gpt2' has no layer", 38),
    _adapter(
        "adapter on a base without weights",
        _adapter_config(base_model_name_or_path="./gone"),
        "the folder './elsewhere' does not exist",
        38,
        "--model",
        "./elsewhere",
    ),
]
CASES = [*MODELS, *ADAPTERS]
