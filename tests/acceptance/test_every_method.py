"""Each method by the command line on real files: RTE with MiniLM and GSM8K with stories260K, to a loadable export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

from balora import load_bottlenecks
from balora.adapters import METHODS
from balora.cli.main import main
from tests.support.real import minilm_folder, real_path
from tests.support.stories import stories_folder
from tests.support.trained import models_kept

pytestmark = [pytest.mark.real, pytest.mark.slow]

CASES = [*METHODS, "corda-kpm", "corda++-kpm"]
DATA = {
    "rte": ("data/glue/RTE/train.tsv", ["data.preset=rte"]),
    "gsm8k": ("data/gsm8k/train.jsonl", ["task=generation", "data.too_long=truncate_prompt"]),
}


def load(method: str, task: str, base: Path, folder: Path) -> Any:
    """What a user does with the run folder."""
    auto = transformers.AutoModelForCausalLM if task == "gsm8k" else transformers.AutoModelForSequenceClassification
    labels = {} if task == "gsm8k" else {"num_labels": 2}
    if method == "full":
        return auto.from_pretrained(folder)
    model = auto.from_pretrained(base, **labels)
    if method in ("houlsby", "pfeiffer"):
        return load_bottlenecks(model, folder)
    return peft.PeftModel.from_pretrained(model, folder)


@pytest.mark.parametrize("task", DATA)
@pytest.mark.parametrize("case", CASES)
def test_a_method_s_word_is_enough_for_a_real_run(
    case: str, task: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, kpm = case.removesuffix("-kpm"), case.endswith("-kpm")
    base = minilm_folder() if task == "rte" else stories_folder(tmp_path_factory)
    path, settings = DATA[task]
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"model: {{name_or_path: {json.dumps(str(base))}}}\n"
        f"data: {{train: {json.dumps(str(real_path(path)) + '[:48]')}, validation: 0.2, max_length: 128}}\n"
        "training: {max_steps: 5, per_device_train_batch_size: 4, learning_rate: 1e-3}\n"
    )
    text = [f"adapter.calibration.text={real_path('data/wiki_text/wiki_demo.txt')}", "adapter.corda_mode=kpm"]
    models = models_kept(monkeypatch)
    words = [f"adapter.method={method}", "adapter.calibration.samples=32", *settings, *(text if kpm else [])]
    code = main(["train", str(recipe), f"output.dir={tmp_path / 'run'}", "--quiet", *words])
    if (method, task) == ("bitfit", "gsm8k"):
        assert code == 2, "a Llama has no bias to train"
        assert not (tmp_path / "run").exists()
        return
    assert code == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "finished"
    assert ("calibration" in record["data"]) == METHODS[method].calibrated
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "run")
    inputs = tokenizer(["Once there was a tree.", "The dog ran home fast."], return_tensors="pt", padding=True)
    kept = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        trained = models[0].eval()(**kept).logits
        reloaded = load(method, task, base, tmp_path / "run").eval()(**kept).logits
    torch.testing.assert_close(reloaded, trained, rtol=0, atol=1e-4)
