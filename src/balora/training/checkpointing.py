"""A Trainer whose checkpoints are whole or not there: staged, hashed, renamed once; no pickle written or read."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import Trainer
from transformers.trainer_callback import ExportableState

from balora.adapters import (
    adapter_only,
    copy_into,
    load_trainable_state,
    local,
    save_trainable_state,
    spread_optimizer_state,
    whole_nested,
    whole_state,
    whole_trainable_state,
)
from balora.artefacts import (
    STATE_OF_TRAINER,
    disk_trouble,
    newest_complete,
    tidy,
    write_json_atomically,
    write_text_atomically,
)
from balora.artefacts.checkpoints import fault_of, remove_old
from balora.artefacts.files import begin_staged, publish, remove_leftover, sync_tree
from balora.artefacts.layout import BASE_MODEL, CHECKPOINT_PREFIX, TRAINING_ARGUMENTS
from balora.artefacts.manifest import fault_in, read_manifest, write_manifest
from balora.artefacts.plain_state import NotPlainError, load_plain, save_plain, tensors_in
from balora.errors import DivergedError, ModelError, OutputError, ResourceError
from balora.training.callbacks.place import Place
from balora.training.finite import first_not_finite
from balora.training.hub_push import push_checkpoint
from balora.training.pickled_checkpoints import check_pickles_allowed
from balora.training.process_state import (
    evaluation_left,
    load_process_state,
    random_state,
    restore_random_state,
    save_process_state,
)
from balora.training.terms import TermLog
from balora.training.together import all_or_none, from_first_process

_OPTIMIZER, _SCHEDULER, _SCALER = "optimizer", "scheduler", "scaler"


class CheckpointedTrainer(Trainer):
    """Saves and resumes; what is trained and how is its subclass' business.

    A checkpoint is put together in a hidden folder, flushed to the disk, described by a manifest with the SHA-256 of
    every file, and renamed once. Older ones go only after it has been read back, and two always stay. It holds the
    exact trained numbers with their anchors, optimizer, schedule, loss scaler, and per process the random state, also
    that of the epoch's beginning, and the sums that no log line has shown yet.

    Under FSDP2 all processes gather what trains and its optimizer, and the first one writes the same files. DeepSpeed
    and FSDP of the first kind write formats of their own, with pickles, and are refused unless the user asked for that.
    """

    terms: TermLog
    adapted: bool
    base_document: Mapping[str, Any] | None = None
    """What is recorded of the pretrained model beside everything that is saved; None where nobody said."""
    _staged: Path | None = None
    _resumed: dict[str, Any] | None = None
    _epoch_began: dict[str, Any] | None = None

    def prepare_checkpointing(self) -> None:
        """To be called once, at the end of `__init__`."""
        self.add_callback(Place(self))
        if self.args.save_strategy != "no":
            check_pickles_allowed(self._pickling_library, Path(self.args.output_dir))
        if self.args.save_total_limit == 1:
            # The Trainer would remove the last checkpoint beside the best one at the end.
            self.args.save_total_limit = 2

    @property
    def sharded(self) -> bool:
        """Whether weights are spread over processes."""
        return bool(self.is_fsdp_enabled or self.is_deepspeed_enabled)

    @property
    def _pickling_library(self) -> str | None:
        """What writes checkpoints in a format of its own, with pickles."""
        if self.is_deepspeed_enabled:
            return "DeepSpeed"
        plugin = self.accelerator.state.fsdp_plugin if self.is_fsdp_enabled else None
        return None if plugin is None or plugin.fsdp_version == 2 else "FSDP1"

    @property
    def _spread(self) -> bool:
        """Whether what trains is to be gathered before it is saved."""
        return bool(self.is_fsdp_enabled) and self._pickling_library is None

    def checkpoint_to_resume(self, resumed: str | bool | None) -> Path | None:
        """The folder that `resume_from_checkpoint` means, whole; True is the newest whole one.

        Raises:
            OutputError: none is whole, or the one that was named is not; starting again would hide that.
            ModelError: another number of processes wrote it.
        """
        run = Path(self.args.output_dir)
        with all_or_none("clearing the run folder"):
            if self.args.should_save:
                tidy(run)
        if not resumed:
            return None
        if resumed is True:
            checkpoint, skipped = newest_complete(run)
            for line in skipped:
                logging.getLogger("balora").warning("%s, so it is passed over", line)
            if checkpoint is None:
                found = "; ".join(skipped) or "there is no checkpoint"
                raise OutputError.at(run, f"nothing to resume from: {found}", "train into another folder")
        else:
            checkpoint = Path(resumed)
            fault = fault_of(checkpoint) if checkpoint.name.startswith(CHECKPOINT_PREFIX) else fault_in(checkpoint)
            if fault is not None:
                raise OutputError.at(checkpoint, fault, "resume from another checkpoint")
        manifest = read_manifest(checkpoint)
        if manifest is not None and manifest.sharded:
            check_pickles_allowed("DeepSpeed or FSDP1", run)
        if manifest is not None and manifest.processes != self.args.world_size:
            what = f"was written by {manifest.processes} processes, and now {self.args.world_size} train"
            raise ModelError.at(checkpoint, what, f"start {manifest.processes} processes")
        return checkpoint

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """All of a checkpoint, or nothing and an error that says why.

        Raises:
            DivergedError: a trained number is not finite; the checkpoints that are there stay.
            ResourceError: the disk is full, read-only or gone.
        """
        del model  # self.model, wrapped
        check_pickles_allowed(self._pickling_library, Path(self.args.output_dir))
        if self.hp_search_backend is None and trial is None:
            self.store_flos()
        run = Path(self._get_output_dir(trial=trial))
        final = run / f"{CHECKPOINT_PREFIX}{self.state.global_step}"
        try:
            with all_or_none(f"writing {final.name}"):
                if trial is not None:
                    run.mkdir(parents=True, exist_ok=True)
                staged = begin_staged(final) if self.args.should_save else None
            self._staged = from_first_process(staged)
            with all_or_none(f"writing {final.name}"):
                self._write_parts(self._staged)
            with all_or_none(f"writing {final.name}"):
                if self.args.should_save:
                    self._publish(self._staged, final)
        except Exception as error:
            raise self._explained(error, run, final) from error
        finally:
            self._staged = None
        if self.args.push_to_hub:
            self._push_from_checkpoint(str(final))

    def _write_parts(self, staged: Path) -> None:
        self._check_finite()
        self.save_model(str(staged), _internal_call=True)
        if not self.args.save_only_model:
            self._save_optimizer_and_scheduler(str(staged))
            self._save_scaler(str(staged))
            self._save_rng_state(str(staged))

    def _publish(self, staged: Path, final: Path) -> None:
        best = final.parent / f"{CHECKPOINT_PREFIX}{self.state.best_global_step}"
        # Where a signal stopped a step's evaluation, there would be no checkpoint without the signal.
        if self.state.best_global_step and (best == final or (best.is_dir() and not evaluation_left(best))):
            self.state.best_model_checkpoint = str(best)
        for callback in [*self.callback_handler.callbacks, self.control]:
            if isinstance(callback, ExportableState):
                self._keep_state_of(callback)
        self.state.save_to_json(str(staged / STATE_OF_TRAINER))
        write_manifest(
            staged,
            step=self.state.global_step,
            resumable=not self.args.save_only_model,
            processes=self.args.world_size,
            sharded=self._pickling_library is not None,
        )
        sync_tree(staged)
        publish(staged, final)
        fault = fault_in(final)
        if fault is not None:
            raise ResourceError(f"'{final}' does not read back as it was written ({fault}); look after the disk")
        kept = self.state.best_model_checkpoint
        remove_old(
            final.parent, limit=self.args.save_total_limit, newest=final, best=None if kept is None else Path(kept)
        )

    def _keep_state_of(self, callback: ExportableState) -> None:
        name, kept = type(callback).__name__, self.state.stateful_callbacks
        if isinstance(kept.get(name), list):
            kept[name].append(callback.state())
        else:
            kept[name] = callback.state()

    def _explained(self, error: Exception, run: Path, final: Path) -> Exception:
        """The error to end with; what was staged is removed, so that it takes no room."""
        staged = self._staged
        needed = 0
        if staged is not None and self.args.should_save:
            try:
                needed = sum(file.stat().st_size for file in staged.rglob("*") if file.is_file())
                remove_leftover(staged)
            except OSError:
                logging.getLogger("balora").info("'%s' is left for the next start to remove", staged)
        if isinstance(error, DivergedError | ResourceError):
            return error
        good, _ = newest_complete(run)
        manifest = None if good is None else read_manifest(good)
        needed = max(needed, 0 if manifest is None else manifest.size_bytes)
        last = None if good is None else good.name
        return disk_trouble(error, run, what=final.name, needed_bytes=needed, last_good=last) or error

    def _check_finite(self) -> None:
        """Refuse to save numbers that are not finite.

        Raises:
            DivergedError: names the first parameter.
        """
        if self._pickling_library is not None:
            return
        trained = [(name, local(p.detach())) for name, p in self.model.named_parameters() if p.requires_grad]
        bad = first_not_finite(trained)
        if bad is not None:
            last, _ = newest_complete(Path(self.args.output_dir))
            good = f"the last good checkpoint is {last.name}" if last is not None else "there is no good checkpoint"
            raise DivergedError(f"step {self.state.global_step}: weights not finite ({bad}); nothing was saved, {good}")

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """As in transformers; under FSDP2 only what an adapter consists of is gathered, not the pretrained weights."""
        if not self._spread:
            super().save_model(output_dir, _internal_call)
            return
        self._save(output_dir or self.args.output_dir)
        if self.args.push_to_hub and not _internal_call:
            self.push_to_hub(commit_message="Model save", revision=self.args.hub_revision)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Model, tokenizer and arguments; in checkpoints also the exact trained numbers, else a base of the run's own.

        Raises:
            DivergedError: a trained number is not finite.
        """
        folder = Path(output_dir or self.args.output_dir)
        is_checkpoint = folder == self._staged
        if not is_checkpoint:
            with all_or_none("saving the model"):
                self._check_finite()
        exact = None
        if self._spread:  # all processes take part, one writes
            state_dict = whole_state(self.model, adapter_only=self.adapted)
            exact = whole_trainable_state(self.model) if self.adapted and is_checkpoint else None
        if not self.args.should_save and not getattr(self, "is_distributed_loading_by_transformers", False):
            return
        folder.mkdir(parents=True, exist_ok=True)
        saved: Any = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
        with adapter_only(self.model) if is_checkpoint else nullcontext():
            saved.save_pretrained(str(folder), state_dict=state_dict, is_main_process=self.args.should_save)
        if not self.args.should_save:
            return
        if self.processing_class is not None:
            self.processing_class.save_pretrained(str(folder))
        # As JSON, which masks tokens; transformers would pickle them in clear text.
        write_text_atomically(folder / TRAINING_ARGUMENTS, self.args.to_json_string() + "\n")
        if self.base_document is not None:
            write_json_atomically(folder / BASE_MODEL, dict(self.base_document))
        if self.adapted and is_checkpoint:
            save_trainable_state(self.model, folder, exact)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        push_checkpoint(self, Path(checkpoint_folder))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if self.adapted:
            load_trainable_state(self.model if model is None else model, Path(resume_from_checkpoint))
        elif self._spread:
            self._spread_weights_of(Path(resume_from_checkpoint))
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_best_model(self) -> None:
        best = Path(self.state.best_model_checkpoint)
        fault = fault_in(best)
        if fault is not None:
            raise OutputError.at(best, f"holds the best weights, and {fault}", "--resume tells how to go on")
        if self.adapted:
            load_trainable_state(self.model, best)
        elif self._spread:
            self._spread_weights_of(best)
        else:
            super()._load_best_model()

    def _spread_weights_of(self, folder: Path) -> None:
        present = self.model.state_dict()
        for file in sorted(folder.glob("model*.safetensors")):
            copy_into(present, load_file(file), file)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if self._pickling_library is not None:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        state = self.optimizer.state_dict()
        state = whole_nested(state) if self._spread else state
        if not self.args.should_save:
            return
        try:
            if first_not_finite([(_OPTIMIZER, tensor) for tensor in tensors_in(state)]) is not None:
                raise DivergedError(f"step {self.state.global_step}: the optimizer's state is not finite; not saved")
            save_plain(Path(output_dir), _OPTIMIZER, state)
            save_plain(Path(output_dir), _SCHEDULER, self.lr_scheduler.state_dict())
        except NotPlainError as error:
            what = f"its state cannot be saved without a pickle: {error}"
            fix = "use adamw_torch, or set training.save_strategy: no"
            raise ModelError.at("training.optim", what, fix) from error

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None or self._pickling_library is not None:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        folder = Path(checkpoint)
        if (folder / f"{_OPTIMIZER}.json").exists():
            state = load_plain(folder, _OPTIMIZER)
            state = spread_optimizer_state(state, self.optimizer.param_groups) if self._spread else state
            self.optimizer.load_state_dict(state)
            self.lr_scheduler.load_state_dict(load_plain(folder, _SCHEDULER))

    def _save_scaler(self, output_dir: str) -> None:
        scaler = getattr(self.accelerator, "scaler", None)
        if scaler is not None and self.args.should_save:
            save_plain(Path(output_dir), _SCALER, scaler.state_dict())

    def _load_scaler(self, checkpoint: str | None) -> None:
        if checkpoint is not None and (Path(checkpoint) / f"{_SCALER}.json").exists():
            self.accelerator.scaler.load_state_dict(load_plain(Path(checkpoint), _SCALER))

    def _save_rng_state(self, output_dir: str) -> None:
        save_process_state(Path(output_dir), self.args.process_index, self.process_state())

    def process_state(self) -> dict[str, Any]:
        """What this process has to itself, for a checkpoint."""
        window = {"loss": self._tr_loss, "last_logged_step": self._globalstep_last_logged, "terms": self.terms.state()}
        state: dict[str, Any] = {"random": self._random_state(), "epoch_began": self._epoch_began, "not_logged": window}
        # From which transformers derives the order of the examples.
        state["seed"] = torch.initial_seed()
        state["own"] = self.own_state()
        return state

    def _load_rng_state(self, checkpoint: str | None) -> None:
        del checkpoint  # read already
        if self._resumed is not None:
            restore_random_state(self._resumed["random"], self.args.device)

    def own_state(self) -> dict[str, Any]:
        """What else a subclass carries from step to step, on each process."""
        return {}

    def restore_own_state(self, state: dict[str, Any]) -> None:
        """Put back what `own_state` gave."""

    def _random_state(self) -> dict[str, Any]:
        return random_state(self.args.device, every_device=self.args.n_gpu > 1)

    def remember_process_state(self, checkpoint: Path | None) -> None:
        """Read what this process has to restore once training begins; nothing for a new run."""
        self._epoch_began = self._resumed = None
        if checkpoint is not None and (checkpoint / f"process-{self.args.process_index}.json").exists():
            self._resumed = load_process_state(checkpoint, self.args.process_index)
            torch.manual_seed(self._resumed["seed"])

    def begin_training(self) -> None:
        """Put back what no log line has shown yet."""
        if self._resumed is not None:
            window = self._resumed["not_logged"]
            self._tr_loss = window["loss"].to(self.args.device)
            self._globalstep_last_logged = window["last_logged_step"]
            self.terms.restore(window["terms"], self.args.device)
            self.restore_own_state(self._resumed["own"])

    def begin_epoch(self) -> None:
        """Remember the random state from which the epoch's order is drawn, or put it back in the middle of one."""
        epoch = int(self.state.epoch or 0)
        began = None if self._resumed is None else self._resumed["epoch_began"]
        if began is not None and began["epoch"] == epoch and (self.state.epoch or 0) > epoch:
            restore_random_state(began["random"], self.args.device)
        self._epoch_began = {"epoch": epoch, "random": self._random_state()}
