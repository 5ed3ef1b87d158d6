from __future__ import annotations

import pytest
from support.tiny_trial import make_spec

from adaptune.spec.baselines import WITHOUT_GAN, baseline_settings
from adaptune.spec.loss_terms import LOSS_TERMS, terms_of


def weights_of(name: str, **options: object) -> list[dict[str, float]]:
    """Return the weights other than 0 of each setting of a baseline."""
    spec = make_spec(**options)  # type: ignore[arg-type]
    settings = []
    for setting in baseline_settings(spec):
        if setting.baseline == name:
            weights = setting.trial(spec).loss_weights.model_dump()
            settings.append({term: weight for term, weight in weights.items() if weight})
    return settings


def test_no_gan_has_each_term_of_f_t_and_all_of_them() -> None:
    *single, together = weights_of("no_gan")
    terms = [term for term in terms_of("classifier") if not term.startswith("task")]
    assert [set(weights) for weights in single] == [{"task", term} for term in terms]
    assert set(together) == {"task", *terms}
    for weights in single:
        assert weights.items() <= together.items()


def test_information_only_has_no_other_term() -> None:
    assert weights_of("information_only") == [{"information": 1.0}]


def test_the_head_is_frozen_in_information_only_as_in_shot() -> None:
    for decision in (False, True):
        spec = make_spec(freeze_head=decision)
        for setting in baseline_settings(spec):
            is_frozen = setting.trial(spec).training.freeze_head
            assert is_frozen is (decision or setting.baseline == "information_only")


def test_fda_learns_the_source_labels_from_fourier_translations() -> None:
    spec = make_spec()
    settings = [setting for setting in baseline_settings(spec) if setting.baseline == "fda"]
    assert weights_of("fda") == [{"task": 1.0}] * len(settings)
    assert [setting.trial(spec).fourier_beta for setting in settings] == [0.05, 0.1]
    assert [setting.fourier_beta for setting in settings] == [0.05, 0.1]


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
    assert texts[-1] == "task 1, fourier beta 0.1"
    assert len(set(texts)) == len(texts)
