from __future__ import annotations

import pytest
from support.tiny_trial import make_spec

from adaptune.spec.baselines import WITHOUT_GAN, BaselineSetting, baseline_settings
from adaptune.spec.loss_terms import LOSS_TERMS, terms_of
from adaptune.spec.schema import TrialSpec

TASK_ONLY = {"task": 1.0, "feature": 0.0, "information": 0.0}


def weights_of(name: str, **options: object) -> list[dict[str, float]]:
    """Return the weights other than 0 of each setting of a baseline."""
    spec = make_spec(**options)  # type: ignore[arg-type]
    settings = []
    for setting in baseline_settings(spec):
        if setting.baseline == name:
            weights = setting.trial(spec).loss_weights.model_dump()
            settings.append({term: weight for term, weight in weights.items() if weight})
    return settings


def betas_of(spec: TrialSpec, name: str) -> list[float]:
    betas = []
    for setting in baseline_settings(spec):
        if setting.baseline == name:
            betas.append(setting.trial(spec).training.fourier_beta)
    return betas


def test_no_gan_has_each_term_of_f_t_and_all_of_them() -> None:
    *single, together, _own = weights_of("no_gan")
    terms = [term for term in terms_of("classifier") if not term.startswith("task")]
    assert [set(weights) for weights in single] == [{"task", term} for term in terms]
    assert set(together) == {"task", *terms}
    for weights in single:
        assert weights.items() <= together.items()


def test_the_last_setting_is_the_trial_without_its_gan() -> None:
    spec = make_spec(loss_weights={"task": 2.0, "feature": 0.7, "information": 0.0})
    last = baseline_settings(spec)[-1]
    assert (last.baseline, last.values) == (
        "no_gan",
        {"loss_weights.task": 2.0, "loss_weights.feature": 0.7},
    )
    spec = make_spec(loss_weights=TASK_ONLY, fourier_beta=0.2)
    last = baseline_settings(spec)[-1]
    assert (last.baseline, str(last)) == ("fda", "task 1, fourier beta 0.2")


def test_a_trial_without_its_gan_is_left_out_if_nothing_adapts_it() -> None:
    spec = make_spec(loss_weights=TASK_ONLY)
    last = baseline_settings(spec)[-1]
    assert str(last).startswith("task 1, feature 0.3, information 1, confusion 1, consistency 1, ")


def test_a_setting_that_fda_has_already_is_not_trained_twice() -> None:
    settings = baseline_settings(make_spec(loss_weights=TASK_ONLY, fourier_beta=0.1))
    assert len({(setting.baseline, str(setting)) for setting in settings}) == len(settings)


def test_information_only_has_no_other_term() -> None:
    assert weights_of("information_only") == [{"information": 1.0}]


def test_the_head_is_frozen_in_information_only_as_in_shot() -> None:
    for decision in (False, True):
        spec = make_spec(freeze_head=decision)
        for setting in baseline_settings(spec):
            is_frozen = setting.trial(spec).training.freeze_head
            assert is_frozen is (decision or setting.baseline == "information_only")


def test_fda_learns_the_source_labels_from_fourier_translations() -> None:
    assert betas_of(make_spec(), "fda") == [0.05, 0.1, 0.1, 0.1]
    two_alone, two_with_terms = weights_of("fda")[:2], weights_of("fda")[2:]
    assert two_alone == [{"task": 1.0}] * 2
    assert set(two_with_terms[0]) == {"task", "feature", "information"}
    assert two_with_terms[1] == weights_of("no_gan")[-2]


@pytest.mark.parametrize("name", ["no_gan", "information_only"])
def test_other_baselines_have_no_fourier_translations(name: str) -> None:
    assert set(betas_of(make_spec(fourier_beta=0.3), name)) == {0.0}


@pytest.mark.parametrize("name", WITHOUT_GAN)
def test_labelled_target_images_are_learned_by_every_setting(name: str) -> None:
    for weights in weights_of(name, train_labels=2):
        assert weights["task_target"] == 1.0


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_no_setting_trains_a_generator_or_waits_for_one(method: str) -> None:
    late = {"classifier_from": 0.5, "semantic_gate": 0.5}
    spec = make_spec(method=method, task_images="both", compile=True, **late)
    for setting in baseline_settings(spec):
        trial = setting.trial(spec)
        weights = trial.loss_weights.model_dump()
        assert all(not weights[name] for name in LOSS_TERMS if name not in terms_of("classifier"))
        assert trial.method == "cycada"
        assert trial.training.task_images == "translated"
        assert trial.training.semantic_gate is None
        assert trial.training.classifier_from == 0
        assert not trial.training.compile


def test_everything_else_is_that_of_the_trial() -> None:
    spec = make_spec(classifier_lr=0.5, classifier_ema_decay=0.9, precision="bf16")
    for setting in baseline_settings(spec)[1:]:
        trial = setting.trial(spec)
        same = trial.training.model_copy(update={"task_images": "translated"})
        assert trial.training == same
        assert (trial.data, trial.model, trial.seed) == (spec.data, spec.model, spec.seed)
        assert trial.training.classifier_lr == 0.5


def test_the_consistency_term_gets_a_teacher_if_the_trial_has_none() -> None:
    decays = {}
    for decay in (0.0, 0.9):
        spec = make_spec(classifier_ema_decay=decay)
        for setting in baseline_settings(spec):
            trial = setting.trial(spec)
            has_term = trial.loss_weights.consistency > 0
            decays[decay, has_term] = trial.training.classifier_ema_decay
    assert decays == {(0.0, False): 0.0, (0.0, True): 0.99, (0.9, False): 0.9, (0.9, True): 0.9}


def test_a_setting_is_described_by_its_values() -> None:
    texts = [str(setting) for setting in baseline_settings(make_spec())]
    assert texts[0] == "information 1, freeze head"
    assert texts[1] == "task 1, feature 0.3"
    assert texts[7] == "task 1, fourier beta 0.1"
    assert texts[-1] == "task 1, feature 0.1, information 0.3"
    assert len(set(texts)) == len(texts)


def test_sampled_weights_are_written_as_in_the_lines_of_a_search() -> None:
    setting = BaselineSetting("no_gan", {"loss_weights.feature": 0.125003, "freeze_head": True})
    assert str(setting) == "feature 0.125, freeze head"
