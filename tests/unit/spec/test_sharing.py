"""Trials that share a GAN: the searched values that they have in common, and who may share one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import ValidationError
from support.fake_search import make_search

from adaptune.spec import SearchSpec
from adaptune.spec.loss_terms import terms_of
from adaptune.spec.schema import SEARCHABLE_PATHS
from adaptune.spec.sharing import is_classifier_side

Read = Callable[..., SearchSpec]
Fail = Callable[..., list[str]]

UNIFORM = {"search": "uniform", "low": 0, "high": 1}
FEATURE = {"loss_weights.feature": UNIFORM}
CYCLE = {"loss_weights.cycle": UNIFORM}
SEARCHED = "loss_weights: {cycle: {search: uniform, low: 1, high: 9}, feature: %s}\n"
GROUPS = SEARCHED % "{search: uniform, low: 0, high: 1}" + "search: {classifiers_per_gan: 4}\n"
AT = "space.yaml:6: search.classifiers_per_gan: "
# A rate of the generators depends on `task_images`, and the gate of D_feat on `gan_loss`.
CONDITIONS = {
    "training.task_images": {"search": "choice", "values": ["translated", "both"]},
    "training.generator_lr": UNIFORM
    | {"low": 0.1, "when": {"training.task_images": "both"}, "otherwise": 0.5},
    "training.gan_loss": {"search": "choice", "values": ["lsgan", "log"]},
    "training.feature_gate": UNIFORM | {"when": {"training.gan_loss": "log"}, "otherwise": 0.5},
}


def test_settings_of_f_t_and_d_feat_are_on_the_classifier_side() -> None:
    paths = {path for path in SEARCHABLE_PATHS if is_classifier_side(path)}
    settings = {
        "training.classifier_lr",
        "training.classifier_optimizer",
        "training.classifier_weight_decay",
        "training.classifier_momentum",
        "training.feature_discriminator_lr",
        "training.classifier_beta1",
        "training.classifier_from",
        "training.freeze_head",
        "training.task_images",
        "training.fourier_beta",
        "training.feature_gate",
        "training.confusion_temperature",
        "training.consistency.threshold",
        "training.consistency.mask",
        "training.consistency.mask_grid",
        "training.classifier_ema_decay",
        "model.feature_discriminator.width",
    }
    assert paths == settings | {f"loss_weights.{term}" for term in terms_of("classifier")}


@pytest.mark.parametrize("path", SEARCHABLE_PATHS)
def test_a_searched_value_is_shared_unless_it_is_marked(path: str) -> None:
    spec = make_search(space={path: {"search": "choice", "values": [0]}})
    if is_classifier_side(path):
        assert (spec.generator_side, spec.classifier_side) == ((), (path,))
    else:
        assert (spec.generator_side, spec.classifier_side) == ((path,), ())


def test_the_sides_are_all_searched_paths_in_the_order_of_the_space() -> None:
    spec = make_search(space=FEATURE | CYCLE | {"training.classifier_lr": UNIFORM})
    assert spec.generator_side == ("loss_weights.cycle",)
    assert spec.classifier_side == ("loss_weights.feature", "training.classifier_lr")
    assert sorted(spec.generator_side + spec.classifier_side) == list(spec.space)


def test_a_condition_of_a_shared_value_is_shared() -> None:
    spec = make_search(space=CONDITIONS)
    assert spec.generator_side == (
        "training.gan_loss",
        "training.generator_lr",
        "training.task_images",
    )
    assert spec.classifier_side == ("training.feature_gate",)


@pytest.mark.parametrize("sampler", ["tpe", "curves", "gp", "random"])
def test_trials_that_differ_in_settings_of_f_t_can_share_a_gan(sampler: str) -> None:
    spec = make_search(space=FEATURE, search={"sampler": sampler, "classifiers_per_gan": 4})
    assert spec.search.classifiers_per_gan == 4
    assert spec.sharing_obstacle is None


def test_by_default_a_gan_has_one_classifier(read: Read) -> None:
    assert read("").search.classifiers_per_gan == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("search: {sampler: grid}", "sampler grid cannot propose settings of f_T for a given GAN"),
        ("training: {semantic_gate: 1.0}", "with training.semantic_gate, the GAN depends on f_T"),
        ("loss_weights: {feature: 1}", "no searched value affects f_T or D_feat alone"),
    ],
)
def test_only_a_number_above_one_needs_trials_that_can_share_a_gan(
    read: Read, text: str, reason: str
) -> None:
    feature = "loss_weights.feature={search: uniform, low: 0, high: 1}"
    overrides = [] if "feature" in text else [feature]
    spec = read(text + "\n", "search.classifiers_per_gan=1", *overrides)
    assert spec.sharing_obstacle is not None
    assert spec.sharing_obstacle.reason == reason


@pytest.mark.parametrize("sampler", ["cmaes", "grid", "qmc", "nsga2"])
def test_other_samplers_are_refused(fail: Fail, sampler: str) -> None:
    fault = (
        f"search: classifiers_per_gan: sampler {sampler} cannot propose settings of f_T for a given"
        " GAN: take sampler tpe, curves, gp or random, or set search.classifiers_per_gan: 1"
    )
    text = GROUPS.replace("4", f"4, sampler: {sampler}")
    assert fail(text) == [f"space.yaml:6: {fault}"]


@pytest.mark.parametrize("gate", ["1.5", "{search: choice, values: [null, 1.5]}"])
def test_a_semantic_gate_is_refused(fail: Fail, gate: str) -> None:
    assert fail(GROUPS + f"training: {{semantic_gate: {gate}}}\n") == [
        f"{AT}with training.semantic_gate, the GAN depends on f_T: leave training.semantic_gate"
        " out, or set search.classifiers_per_gan: 1"
    ]


@pytest.mark.parametrize("labels", ["adapted", "{search: choice, values: [predicted, adapted]}"])
def test_labels_of_f_t_in_the_semantic_term_are_refused(fail: Fail, labels: str) -> None:
    text = f"training: {{semantic_target_labels: {labels}, classifier_ema_decay: 0.9}}\n"
    assert fail(GROUPS + text) == [
        f"{AT}with training.semantic_target_labels, the GAN depends on f_T: leave"
        " training.semantic_target_labels out, or set search.classifiers_per_gan: 1"
    ]


def test_cyclegan_has_no_semantic_term_that_a_gate_could_open(read: Read) -> None:
    gate = "training: {semantic_gate: 1.5, classifier_lr: {search: uniform, low: 0.1, high: 1}}\n"
    assert read(SEARCHED % 1 + gate, "method=cyclegan").sharing_obstacle is None


@pytest.mark.parametrize("condition", ["", ", when: {training.task_images: both}, otherwise: 1"])
def test_a_search_of_shared_values_only_is_refused(fail: Fail, condition: str) -> None:
    cycle = f"cycle: {{search: uniform, low: 1, high: 9{condition}}}"
    images = "{search: choice, values: [both, translated]}" if condition else "both"
    text = f"loss_weights: {{{cycle}}}\nsearch: {{classifiers_per_gan: 4}}\n"
    assert fail(text, f"training.task_images={images}") == [
        f"{AT}no searched value affects f_T or D_feat alone: search one that does, such as"
        " training.classifier_lr, or set search.classifiers_per_gan: 1"
    ]


def test_a_faulty_distribution_is_the_only_fault(fail: Fail) -> None:
    text = GROUPS.replace("low: 0, high: 1", "low: 1, high: 1")
    assert fail(text) == [
        "space.yaml:5: loss_weights.feature: low must be below high, but low is 1 and high is 1"
    ]


def test_an_automatic_number_is_one_until_it_is_chosen() -> None:
    search = {"classifiers_per_gan": "auto", "trials": 9, "sampler": "cmaes"}
    spec = make_search(space=CYCLE, search=search)
    assert (spec.search.classifiers_per_gan, spec.search.group_size) == ("auto", 1)
    assert spec.planned_groups == 9
    assert spec.with_group_size(4).planned_groups == 3


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "true", "many", "null"])
def test_a_number_of_classifiers_is_a_whole_number(fail: Fail, number: str) -> None:
    (message,) = fail(GROUPS.replace("4", number))
    assert message.startswith(f"{AT.removesuffix(': ')} = {number}: must be ")


def test_a_spec_that_is_built_without_a_file_is_checked_too() -> None:
    with pytest.raises(ValidationError, match="no searched value affects f_T or D_feat alone"):
        make_search(space=CYCLE, search={"classifiers_per_gan": 2})
    gate = {"semantic_gate": 1.0}
    with pytest.raises(ValidationError, match="the GAN depends on f_T"):
        make_search(space=FEATURE, training=gate, search={"classifiers_per_gan": 2})
    labels = {"semantic_target_labels": "adapted", "classifier_ema_decay": 0.9}
    with pytest.raises(ValidationError, match="semantic_target_labels, the GAN depends on f_T"):
        make_search(space=FEATURE, training=labels, search={"classifiers_per_gan": 2})
