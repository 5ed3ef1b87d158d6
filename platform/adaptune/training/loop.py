"""A trial's training: epoch after epoch, one record each. Knows nothing of who is listening."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import torch

from adaptune.data.device_images import DeviceImages
from adaptune.data.sampling import UnpairedSampler
from adaptune.data.splits import TrialData
from adaptune.errors import NonFiniteLossError, PreemptedError
from adaptune.models.classifiers import Classifier
from adaptune.seeding import derive_seed
from adaptune.spec.schema import LossWeights, TrialSpec
from adaptune.training.checkpoint import CheckpointFolder, ResumePoint
from adaptune.training.distributed import all_reduce_mean, average_buffers, rank, unwrap
from adaptune.training.guide import TARGET_VAL, score
from adaptune.training.health import HealthMonitor, signs
from adaptune.training.sample_grid import sample_grid
from adaptune.training.state import TrainingState, Weights, build_state
from adaptune.training.steps.batch import TrainingImages
from adaptune.training.steps.cycada import cycada_step
from adaptune.training.steps.cyclegan import cyclegan_step
from adaptune.training.steps.generators import LossTerms
from adaptune.training.validation import Validation

Record = dict[str, Any]
Notice = Callable[[], bool]
NOTICE_EVERY_STEPS = 20  # asking makes all workers meet
GENERATOR_TERMS = {"loss/adversarial", "loss/cycle", "loss/identity", "loss/semantic"}
STEPS = {"cycada": cycada_step, "cyclegan": cyclegan_step}


def fit(
    spec: TrialSpec,
    data: TrialData,
    source_weights: Weights,
    *,
    device: torch.device,
    checkpoints: CheckpointFolder | None = None,
    images: TrainingImages | None = None,
    metric: str = TARGET_VAL,
    health: bool = False,
    notice: Notice | None = None,
) -> Iterator[Record]:
    """Train one trial and yield a record after each epoch; whoever stops asking stops the trial.

    Where `checkpoints` holds one, training goes on from the newest that can be read; its own record
    is yielded first, since nobody may have seen it before the interruption. `images` may be those of an
    earlier trial on the same data and f_S: finding f_S's labels takes longer than all else before a trial.
    `metric` is what the best epoch, whose checkpoint is kept, is chosen by. With `health` each epoch is
    looked over for the signs of a GAN gone wrong. `notice`, asked now and then by all workers alike, says
    whether a machine is about to be taken away: the trial is saved in mid-epoch then, and ends.

    Yields:
        `epoch` (from 1), what `Validation.record` and `Watch.look` say, the mean of each unweighted term as
        `loss/<term>`, and the seconds of the epoch: `train_s`, `eval_s`.

    Raises:
        NonFiniteLossError: a term, or what f_T says after an epoch, became NaN or infinite.
        CheckpointError: the folder holds checkpoints, but none that can be read.
        PreemptedError: there was a notice.
    """
    state = build_state(spec, len(data.class_names), source_weights, device)
    restored = ResumePoint() if checkpoints is None else checkpoints.restore(state)
    last, terms = restored.record, LossMeter(spec.loss_weights, device)
    terms.begin_with(restored.means, restored.updates)
    watch = HealthMonitor(spec.training.gan_loss, state.lowest_losses, last)
    if last is not None:
        yield last
    training = images or TrainingImages(data, state.networks.f_source, device)
    validation = Validation(data, device)
    sampler = UnpairedSampler(
        len(training.source),
        len(training.target),
        spec.training.batch_size,
        derive_seed(spec.seed, "order"),
    )
    for epoch in range(state.step // spec.training.steps_per_epoch + 1, spec.training.epochs + 1):
        start = time.perf_counter()
        if not _train_epoch(state, training, sampler, terms, epoch, notice):
            if checkpoints is not None:
                checkpoints.save_mid_epoch(state, ResumePoint(last, *terms.so_far()))
            raise PreemptedError(f"preempted at update {state.step}, in epoch {epoch}")
        record, terms = Record(epoch=epoch) | terms.means(), LossMeter(spec.loss_weights, device)
        trained = time.perf_counter()
        average_buffers([unwrap(state.networks.f_target), *state.averages.values()])
        record |= validation.record(cast(Classifier, state.eval_network("f_target")), state.step)
        if health and GENERATOR_TERMS & record.keys():
            record |= _signs(state, data)
            record |= watch.look(record)
        record |= {"train_s": trained - start, "eval_s": time.perf_counter() - trained}
        state.note_score(epoch, score(record, metric))
        if checkpoints is not None:
            checkpoints.save(state, record)
            if rank() == 0:
                checkpoints.save_picture(epoch, sample_grid(state, training))
        last = record
        yield record


@torch.no_grad()
def _signs(state: TrainingState, data: TrialData) -> Record:
    """The state of the generators' health, by up to 256 images of source_val."""
    some = slice(0, 256)
    images = DeviceImages(data.source_val_images[some], data.source_val_labels[some], state.device)
    source = images.take(torch.arange(len(images)))
    translated = state.eval_network("g_source_to_target")(source)
    target = DeviceImages(data.target_train_images[some], None, state.device)
    seen = state.networks.f_source(translated).argmax(dim=1)
    return signs(
        source,
        translated,
        target.take(torch.arange(len(target))),
        images.labels,
        seen,
        len(data.class_names),
    )


def _train_epoch(
    state: TrainingState,
    images: TrainingImages,
    sampler: UnpairedSampler,
    watch: LossMeter,
    epoch: int,
    notice: Notice | None,
) -> bool:
    """Train to the end of the epoch. False: a notice came before."""
    spec = state.spec
    step = STEPS[spec.method]
    state.networks.f_target.train()
    while state.step < epoch * spec.training.steps_per_epoch:
        if notice is not None and state.step % NOTICE_EVERY_STEPS == 0 and notice():
            return False
        # Dropout draws from torch's own generator: seeded by the step, a resume needs no memory of it.
        torch.manual_seed(derive_seed(spec.seed, "dropout", state.step, rank()))
        state.set_learning_rates()
        batch = images.batch(
            sampler, state.step, true_semantic=spec.training.semantic_labels == "true"
        )
        with torch.autocast(
            state.device.type, torch.bfloat16, enabled=spec.training.precision == "bf16"
        ):
            terms = step(state, batch)
        state.update_averages()
        state.step += 1
        watch.add(state.step, terms)
    return True


class LossMeter:
    """Means of all terms over an epoch, and the first step at which one was not finite.

    All of it stays on the device until the epoch's end: asking at each step would make a GPU wait.
    """

    def __init__(self, weights: LossWeights, device: torch.device) -> None:
        self.weights = weights
        self.device = device
        self.sums: LossTerms = {}
        self.bad: LossTerms = {}
        self.count = 0
        self.first_step = 0

    def begin_with(self, means: Mapping[str, float], updates: int) -> None:
        """The part of an epoch that was trained before an interruption."""
        self.count = updates
        self.sums = {
            name: torch.tensor(mean * updates, device=self.device) for name, mean in means.items()
        }

    def so_far(self) -> tuple[dict[str, float], int]:
        """The means over all workers, finite or not, and the number of updates."""
        names = sorted(self.sums)
        means = (
            all_reduce_mean(torch.stack([self.sums[name] for name in names]) / self.count).tolist()
            if names
            else []
        )
        return dict(zip(names, means, strict=True)), self.count

    def add(self, step: int, terms: LossTerms) -> None:
        self.count += 1
        self.first_step = self.first_step or step
        never = torch.tensor(torch.inf, device=self.device)
        for name, value in terms.items():
            self.sums[name] = (
                self.sums.get(name, torch.zeros((), device=self.device)) + value.float()
            )
            at = torch.where(value.isfinite(), never, float(step))
            self.bad[name] = self.bad.get(name, never).minimum(at)

    def means(self) -> Record:
        """The means over all workers. Every worker raises NonFiniteLossError together, or none."""
        means, _ = self.so_far()
        if not all(map(_finite, means.values())):
            self._raise(means)
        return {f"loss/{name}": mean for name, mean in means.items()}

    def _raise(self, means: Mapping[str, float]) -> None:
        step, name = min((float(self.bad.get(name, torch.inf)), name) for name in means)
        if step == float("inf"):  # only another worker's share was bad
            name = next(name for name, mean in means.items() if not _finite(mean))
            step = self.first_step
        weights = ", ".join(f"{key} {value:g}" for key, value in self.weights.model_dump().items())
        raise NonFiniteLossError(
            f"term `{name}` is not finite at step {step:.0f} (weights: {weights}); lower the learning rates"
            " or narrow the weights' ranges"
        )


def _finite(value: float) -> bool:
    return value - value == 0
