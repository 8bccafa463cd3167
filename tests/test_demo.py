"""The demonstration: fair to every method, honest in words, and whole."""

from __future__ import annotations

import json
import math
from io import StringIO
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from rich.console import Console
from transformers import AutoModelForCausalLM

from balora.demo import METHODS, DemoPlan, DemoResult, full_plan, quick_plan, run_demo
from balora.demo.bench import Run
from balora.demo.comparison import compare, free_folder
from balora.demo.report import (
    COLUMNS,
    aligned,
    best_learning_rates,
    mean_and_spread,
    runs_of,
    table,
)
from balora.demo.stages import Stages
from balora.demo.words import caution, in_words
from balora.errors import InputError, OutputError
from balora.lab import LabScores, PretrainingSettings, TaskSettings, WorldSettings
from balora.recipe import Recipe
from balora.run import RunResult

PLAN = DemoPlan(
    world=WorldSettings(people=24, jobs=3, cities=3),
    pretraining=PretrainingSettings(layers=1, hidden_size=16, heads=2, intermediate_size=24, steps=4),
    task=TaskSettings(train_people=10, validation_people=4),
    learning_rates=(1e-3, 5e-4),
    seeds=(0, 1),
    rank=2,
)


class FakeTraining:
    """Leaves an adapter without training: PiSSA's moves the model, every other leaves it as it is."""

    def __init__(self) -> None:
        self.recipes: list[Recipe] = []

    def __call__(self, recipe: Recipe) -> RunResult:
        self.recipes.append(recipe)
        folder = recipe.output.dir
        assert folder is not None
        model = get_peft_model(
            AutoModelForCausalLM.from_pretrained(recipe.model.name_or_path),
            LoraConfig(r=recipe.adapter.r, target_modules="all-linear", task_type="CAUSAL_LM"),
        )
        if recipe.adapter.method == "pissa":
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    torch.nn.init.normal_(parameter, std=2.0)
        model.save_pretrained(folder)
        (folder / "run.json").write_text(json.dumps({"peak_cpu_gib": 0.5}))
        return RunResult(folder=folder, metrics={}, train_seconds=1.5, status="finished")


@pytest.fixture(scope="module")
def training() -> FakeTraining:
    return FakeTraining()


@pytest.fixture(scope="module")
def faked(training: FakeTraining, tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BALORA_CACHE", str(tmp_path_factory.mktemp("cache")))
        return compare(PLAN, tmp_path_factory.mktemp("demo") / "out", train=training)


def test_every_method_gets_the_same_budget(faked: DemoResult, training: FakeTraining) -> None:
    assert len(training.recipes) == 3 * 2 * 2
    by_method: dict[tuple[str, bool], list[Recipe]] = {}
    for recipe in training.recipes:
        by_method.setdefault((recipe.adapter.method, recipe.regularizers.active), []).append(recipe)
    assert set(by_method) == {("lora", False), ("pissa", False), ("pissa", True)}
    budgets = [[(r.training, r.data, r.model, r.adapter.r, r.adapter.seed) for r in rs] for rs in by_method.values()]
    assert budgets[0] == budgets[1] == budgets[2]
    assert {recipe.training["learning_rate"] for recipe in training.recipes} == {1e-3, 5e-4}


def test_the_regularizers_are_the_paper_s(training: FakeTraining, faked: DemoResult) -> None:
    weights = {
        (r.regularizers.consistency_weight, r.regularizers.diversity_weight, r.regularizers.spectral_weight)
        for r in training.recipes
    }
    assert weights == {(0.025, 0.005, 0.005), (0.0, 0.0, 0.0)}


def test_what_is_measured_is_the_adapter_that_training_left(faked: DemoResult) -> None:
    base = faked.record["base"]["scores_by_seed"]
    for run in faked.record["runs"]:
        before = base[str(run["seed"])]
        moved = run["scores"]["heldout_loss"] != before["heldout_loss"]
        assert moved == (run["method"] != "LoRA"), run
        assert run["peak_mib"] == 512
        assert run["train_s"] == 1.5


def test_each_seed_has_a_task_of_its_own(faked: DemoResult) -> None:
    texts = [(faked.folder / f"task-seed{seed}" / "train.jsonl").read_text() for seed in PLAN.seeds]
    assert texts[0] != texts[1]
    assert {path.name for path in faked.folder.iterdir()} == {
        "demo.json",
        "runs",
        "table.txt",
        "task-seed0",
        "task-seed1",
    }


def test_record_and_table_are_kept(faked: DemoResult) -> None:
    kept = json.loads((faked.folder / "demo.json").read_text())
    assert kept["runs"][0]["learning_rate"] == 1e-3
    assert kept["plan"]["world"]["people"] == 24
    assert kept["plan"]["seeds"] == [0, 1]
    assert (faked.folder / "table.txt").read_text() == faked.table + "\n"
    json.dumps(faked.record)


def test_the_table_has_a_line_for_each_method_and_rate(faked: DemoResult) -> None:
    lines = faked.table.splitlines()
    for method in METHODS:
        of_method = [line for line in lines if line.startswith(f"{method.name} ")]
        assert len(of_method) == 2 + (method.name == "BA-LoRA") * 2  # BA-LoRA also opens two sentences
        assert sum(" * " in line for line in of_method) == 1
    assert any(line.startswith("base model ") for line in lines)


def test_threads_are_given_back(tmp_path: Path) -> None:
    torch.set_num_threads(2)

    def stop(recipe: Recipe) -> RunResult:
        assert torch.get_num_threads() == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(PLAN, tmp_path / "out", train=stop)
    assert torch.get_num_threads() == 2


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="already holds something, and nothing is ever overwritten; name a folder"):
        run_demo(folder=tmp_path, quick=True, show_progress=False)
    with pytest.raises(OutputError, match=r"mine.txt: already holds something"):
        run_demo(folder=tmp_path / "mine.txt", quick=True, show_progress=False)
    with pytest.raises(OutputError, match="cannot be made"):
        run_demo(folder=tmp_path / "mine.txt" / "below", quick=True, show_progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_no_seed_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="seeds: is 0; expected 1 or more"):
        run_demo(folder=tmp_path / "out", seeds=0)
    assert list(tmp_path.iterdir()) == []


def test_the_first_free_folder_is_taken(tmp_path: Path) -> None:
    wanted = tmp_path / "demo"
    assert free_folder(wanted) == wanted
    wanted.mkdir()
    (tmp_path / "demo-2").write_text("")
    assert free_folder(wanted) == tmp_path / "demo-3"


def test_plans_differ_in_size_only() -> None:
    quick, full = quick_plan(), full_plan(seeds=4)
    assert full.seeds == (0, 1, 2, 3)
    assert quick.seeds == (0,)
    assert (quick.epochs, quick.rank, quick.batch_size) == (full.epochs, full.rank, full.batch_size)
    assert quick.world.people < full.world.people
    assert quick.world.wrong_fact_share == full.world.wrong_fact_share
    assert quick.task.wrong_label_share == full.task.wrong_label_share


def scores(accuracy: float, gap: float = 0.1, **others: float) -> LabScores:
    usual = {"minority_recall": 0.5, "facts_retained": 0.9, "wrong_labels_memorised": 0.2, "heldout_loss": 1.0}
    return LabScores(task_accuracy=accuracy, stereotype_gap=gap, **{**usual, **others})


def run(method: str, rate: float, seed: int, found: LabScores, validation: float = 0.5) -> Run:
    return Run(method, rate, seed, Path("x"), 2.0, 600.0, validation, found)


def test_the_learning_rate_is_chosen_on_validation_and_never_on_test() -> None:
    runs = [
        run("LoRA", 1e-3, 0, scores(0.1), validation=0.7),
        run("LoRA", 1e-3, 1, scores(0.1), validation=0.9),
        run("LoRA", 5e-4, 0, scores(0.9), validation=0.8),
        run("LoRA", 5e-4, 1, scores(0.9), validation=0.7),
        run("PiSSA", 1e-3, 0, scores(0.1), validation=0.6),
        run("PiSSA", 5e-4, 0, scores(0.1), validation=0.6),
    ]
    assert best_learning_rates(runs) == {"LoRA": 1e-3, "PiSSA": 5e-4}  # of equals the lower


def two_methods(ours: list[LabScores], rival: list[LabScores]) -> tuple[list[Run], dict[str, float]]:
    runs = [run("BA-LoRA", 1e-3, seed, found) for seed, found in enumerate(ours)]
    runs += [run("LoRA", 1e-3, seed, found) for seed, found in enumerate(rival)]
    return runs, {"LoRA": 1e-3, "BA-LoRA": 1e-3}


def test_a_rival_that_wins_is_said_to_win() -> None:
    runs, chosen = two_methods([scores(0.6), scores(0.7)], [scores(0.8), scores(0.9)])
    lead, against = in_words(runs, chosen)
    assert "task accuracy LoRA;" in lead
    assert "BA-LoRA against LoRA at the starred rates: worse in all 2 pairs: task accuracy -0.200;" in against
    assert "better in all" not in against


def test_winning_one_seed_and_losing_another_is_neither_way() -> None:
    runs, chosen = two_methods([scores(0.6), scores(0.9)], [scores(0.8), scores(0.8)])
    assert "neither way: task accuracy -0.050 (better in 1 of 2)" in in_words(runs, chosen)[1]


def test_seeds_are_compared_with_the_same_seed_whatever_the_order() -> None:
    runs, chosen = two_methods([scores(0.6), scores(0.9)], [scores(0.5), scores(0.8)])
    assert "better in all 2 pairs: task accuracy +0.100" in in_words(runs[::-1], chosen)[1]


def test_the_same_start_is_compared_at_equal_rates_so_that_only_the_regularizers_differ() -> None:
    runs = [run("PiSSA", rate, 0, scores(accuracy)) for rate, accuracy in ((5e-4, 0.6), (1e-3, 0.3))]
    runs += [run("BA-LoRA", rate, 0, scores(accuracy)) for rate, accuracy in ((5e-4, 0.7), (1e-3, 0.4))]
    # Validation chose unequal rates: at these BA-LoRA would seem 0.4 ahead.
    sentences = in_words(runs, {"PiSSA": 1e-3, "BA-LoRA": 5e-4})
    assert sentences[1].startswith("BA-LoRA against PiSSA at equal rates: better in all 2 pairs: task accuracy +0.100;")


def test_less_is_better_for_losses_and_a_gap_counts_by_its_distance_from_none() -> None:
    runs, chosen = two_methods([scores(0.5, gap=0.1, heldout_loss=0.9)], [scores(0.5, gap=-0.3, heldout_loss=1.0)])
    lead, against = in_words(runs, chosen)
    assert "stereotype gap BA-LoRA" in lead
    assert "held-out loss BA-LoRA" in lead
    assert "task accuracy all alike" in lead
    assert "better once: stereotype gap +0.400, held-out loss -0.100" in against


def test_what_was_not_counted_is_neither_zero_nor_a_win() -> None:
    nothing = scores(0.5, wrong_labels_memorised=math.nan)
    runs, chosen = two_methods([nothing], [nothing])
    text = " ".join(in_words(runs, chosen))
    assert "memorised" not in text
    half = [scores(0.5, minority_recall=math.nan), scores(0.5, minority_recall=0.7)]
    assert "better in all 2 pairs: rare cities +0.200" in in_words(*two_methods(half, [scores(0.5), scores(0.5)]))[1]
    assert "nan" not in table(runs, [nothing], chosen)


def test_one_seed_proves_nothing_and_several_say_what_they_draw() -> None:
    assert "One seed" in caution(1)
    assert "over 3 seeds" in caution(3)


def test_columns_are_below_each_other() -> None:
    runs, chosen = two_methods([scores(0.6), scores(0.7)], [scores(0.8), scores(1.0)])
    lines = table(runs, [scores(0.0)], chosen).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "0.90 ± 0.14" in lines[-2]
    assert aligned([["", "a b"], ["row", "1.0"]]) == ["       a", "       b", "row  1.0"]


def test_runs_of_are_in_the_order_of_their_seeds() -> None:
    runs = [run("LoRA", 1e-3, seed, scores(0.5)) for seed in (2, 0, 1)]
    assert [found.seed for found in runs_of(runs, "LoRA", 1e-3)] == [0, 1, 2]
    assert runs_of(runs, "LoRA", 2e-3) == []


def test_every_score_has_a_column_and_a_legend(faked: DemoResult) -> None:
    one_by_one = [column.of(LabScores(1, 2, 3, 4, 5, 6)) for column in COLUMNS]
    assert one_by_one == [1, 2, 3, 4, 5, 6]
    assert all(f"\n{column.title} " in faked.table for column in COLUMNS)


@pytest.mark.parametrize(("values", "text"), [([], "-"), ([math.nan, 0.25], "0.25"), ([1.0, 3.0], "2.00 ± 1.41")])
def test_mean_and_spread(values: list[float], text: str) -> None:
    assert mean_and_spread(values) == text


def test_progress_off_a_terminal_is_a_few_plain_lines() -> None:
    shown = StringIO()
    with Stages(Console(file=shown, force_terminal=False)) as stages:
        for done in range(1, 101):
            stages.report("reading", done, 100)
        stages.report("writing", 1, 3)
    lines = shown.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[0].startswith("reading 10/100 (")
    assert lines[-2].startswith("reading 100/100")
    assert lines[-1].startswith("writing 1/3")


def test_progress_on_a_terminal_is_a_bar_per_stage() -> None:
    shown = StringIO()
    with Stages(Console(file=shown, force_terminal=True, width=80)) as stages:
        stages.report("reading", 5, 10)
        stages.report("reading", 10, 10)
        stages.report("writing", 1, 3)
    text = shown.getvalue()
    assert "10/10" in text
    assert "1/3" in text


def test_without_a_console_nothing_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with Stages(None) as stages:
        stages.report("reading", 10, 10)
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_the_quick_demonstration_is_real(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = run_demo(folder=tmp_path / "out", quick=True, show_progress=False)
    shown = capfd.readouterr()
    assert shown.out == ""
    base = result.record["base"]["scores_by_seed"]["0"]
    runs = {entry["method"]: entry for entry in result.record["runs"]}
    assert set(runs) == {"LoRA", "PiSSA", "BA-LoRA"}
    assert base["facts_retained"] == 1
    assert base["stereotype_gap"] > 0.2  # the corpus' stereotype was learnt
    assert base["task_accuracy"] < 0.2  # the question is new
    assert max(entry["scores"]["task_accuracy"] for entry in runs.values()) > 0.5
    for entry in runs.values():
        assert all(math.isfinite(value) for value in entry["scores"].values())
        assert entry["scores"]["heldout_loss"] > base["heldout_loss"]  # every fine-tune drifts
        assert entry["train_s"] > 0
        assert entry["peak_mib"] > 50
        plain = AutoModelForCausalLM.from_pretrained(result.record["base"]["folder"])
        PeftModel.from_pretrained(plain, entry["folder"])
    assert runs["BA-LoRA"]["scores"] != runs["PiSSA"]["scores"]
