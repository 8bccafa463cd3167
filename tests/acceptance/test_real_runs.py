"""The command line on real files and real models: each run ends in an adapter that stock PEFT loads elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from balora.cli.main import main
from tests.support.real import minilm_folder, real_path
from tests.support.stories import stories_folder
from tests.support.trained import models_kept

pytestmark = pytest.mark.real

ROWS = 48

CASES: dict[str, dict[str, Any]] = {
    "cola": {"train": "data/cola/in_domain_train.tsv", "set": ["data.preset=cola"]},
    "stsb": {"train": "data/glue/STS-B/train.tsv", "set": ["data.preset=stsb"]},
    "mnli": {"train": "data/nli_qqp_10k/MNLI/train.json", "set": ["data.preset=mnli"]},
    "gsm8k": {"train": "data/gsm8k/train.jsonl", "set": ["task=generation"]},
    "code": {"train": "data/code_alpaca/code_alpaca_2k.json", "set": ["task=generation", "data.on_bad_row=drop"]},
}
LABELS = {"cola": 2, "stsb": 1, "mnli": 3}

RELOAD = """
import json, sys
import peft, torch, transformers
base, run, labels, out = sys.argv[1:]
torch.manual_seed(99)
if labels == "none":
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
else:
    model = transformers.AutoModelForSequenceClassification.from_pretrained(base, num_labels=int(labels))
model = peft.PeftModel.from_pretrained(model, run).eval()
tokenizer = transformers.AutoTokenizer.from_pretrained(run)
inputs = tokenizer(["Once there was a tree.", "The dog ran home fast."], return_tensors="pt", padding=True)
with torch.no_grad():
    torch.save(model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits, out)
assert "balora" not in sys.modules
"""


@pytest.mark.parametrize("case", list(CASES))
def test_a_real_run_reloads_in_a_fresh_process(
    case: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = minilm_folder() if case in LABELS else stories_folder(tmp_path_factory)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"model: {{name_or_path: {json.dumps(str(base))}}}\n"
        f"data: {{train: {json.dumps(str(real_path(CASES[case]['train'])) + f'[:{ROWS}]')}, validation: 0.2}}\n"
        "training: {num_train_epochs: 1, learning_rate: 5e-3, per_device_train_batch_size: 8}\n"
    )
    models = models_kept(monkeypatch)
    extra = [*CASES[case]["set"], "data.too_long=truncate_prompt"] if case not in LABELS else CASES[case]["set"]
    assert main(["train", str(recipe), f"output.dir={tmp_path / 'run'}", "--quiet", *extra]) == 0

    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "run")
    inputs = tokenizer(["Once there was a tree.", "The dog ran home fast."], return_tensors="pt", padding=True)
    with torch.no_grad():
        model = models[0].eval()
        trained = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits

    labels = str(LABELS.get(case, "none"))
    command = [sys.executable, "-c", RELOAD, str(base), str(tmp_path / "run"), labels, str(tmp_path / "logits.pt")]
    subprocess.run(command, check=True, cwd=tmp_path)
    reloaded = torch.load(tmp_path / "logits.pt")
    torch.testing.assert_close(reloaded, trained, rtol=0, atol=1e-5)
