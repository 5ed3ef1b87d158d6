from __future__ import annotations

from support.fake_run import make_splits
from support.tiny_trial import make_spec

from adaptune.training.calibration_data import SAMPLE, DataSizes, noise_data, noise_outputs

SIZES = DataSizes(classes=3, source_train=9000, source_val=700, target_train=20, target_val=70)


def test_the_sizes_are_those_of_the_data() -> None:
    data = make_splits().trial
    sizes = DataSizes.of(data)
    assert sizes == DataSizes(3, 14, 6, 11, 9)
    assert (sizes.train, sizes.val) == (25, 15)
    indices = {
        "source_train": data.source_train_labels,
        "source_val": data.source_val_labels,
        "target_train": data.target_val_labels,
        "target_val": data.target_val_labels,
    }
    assert DataSizes.of_splits(indices, classes=3) == DataSizes(3, 14, 6, 9, 9)


def test_the_images_have_the_form_of_the_search_and_the_memory_of_one() -> None:
    data = noise_data(make_spec(size=32).data.source, SIZES)
    assert len(data.source_train_images) == len(data.source_val_images) == SAMPLE
    assert (len(data.target_train_images), len(data.target_val_images)) == (20, 70)
    assert data.source_train_images.shape == (1, 32, 32)
    assert data.source_train_images.pixels.strides[0] == 0  # type: ignore[attr-defined]
    assert len(data.class_names) == 3


def test_the_outputs_have_clusters_and_keep_the_proportion_of_both_sets() -> None:
    outputs = noise_outputs(SIZES, features=8, limit=350)
    assert outputs.source_logits.shape == (350, 3)
    assert outputs.target_features.shape == (35, 8)
    hits = outputs.source_logits.argmax(axis=1) == outputs.source_labels
    assert hits.mean() > 0.95
    assert len(noise_outputs(SIZES, features=8, limit=10_000).source_labels) == 700
