"""Loading restores the trained networks, and refuses exports that are damaged."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptune.artifacts import load_export
from adaptune.artifacts.format import CHECKSUMS_FILE, CONFIG_FILE, NETWORKS, Direction
from adaptune.artifacts.load import Export
from adaptune.errors import DataError, ResultsError
from adaptune.spec.schema import TrialSpec
from adaptune.training.state import TrainingState


def rewrite_config(export: Path, **changes: object) -> None:
    """Change config.json and its checksum."""
    config = json.loads((export / CONFIG_FILE).read_bytes()) | changes
    kept = {key: value for key, value in config.items() if value is not None}
    rewrite(export / CONFIG_FILE, json.dumps(kept).encode())


def rewrite(file: Path, contents: bytes) -> None:
    """Change a file of an export and its checksum."""
    checksums = file.parent / CHECKSUMS_FILE
    digest_before = hashlib.sha256(file.read_bytes()).hexdigest()
    digest_after = hashlib.sha256(contents).hexdigest()
    file.write_bytes(contents)
    checksums.write_text(checksums.read_text().replace(digest_before, digest_after))


def test_a_loaded_classifier_gives_the_same_logits_as_the_trained_one(
    best: Path, state: TrainingState
) -> None:
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        expected = state.networks.f_t.eval()(images)
        torch.testing.assert_close(load_export(best).classifier(images), expected)


@pytest.mark.parametrize("direction", ["source_to_target", "target_to_source"])
def test_moving_averages_are_exported_where_there_are_any(
    best: Path, state: TrainingState, direction: Direction
) -> None:
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    name = NETWORKS[direction]
    with torch.no_grad():
        exported = load_export(best).generators[direction](images)
        torch.testing.assert_close(exported, state.eval_network(name)(images))
        assert not torch.equal(exported, getattr(state.networks, name)(images))


def test_loaded_networks_are_in_eval_mode_and_leave_the_random_state_alone(best: Path) -> None:
    before = torch.get_rng_state()
    export = load_export(best)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(net.training for net in [export.classifier, *export.generators.values()])


def test_loaded_networks_need_no_gradient(export: Export) -> None:
    networks = [export.classifier, *export.generators.values()]
    for network in networks:
        assert not any(parameter.requires_grad for parameter in network.parameters())


def test_an_export_is_loaded_from_a_path_given_as_text(best: Path) -> None:
    assert load_export(str(best)).class_names == ("cat", "dog", "owl")


def test_a_loaded_export_describes_its_trial(export: Export, spec: TrialSpec) -> None:
    assert export.config.loss_weights == spec.loss_weights
    assert export.config.training == spec.training
    assert export.domains == {"source": spec.data.source, "target": spec.data.target}
    assert export.device == torch.device("cpu")


def test_images_are_transformed_to_the_form_of_a_domain(export: Export) -> None:
    white = np.full((24, 30, 3), 255, dtype=np.uint8)
    black = np.zeros((40, 24), dtype=np.uint8)
    images = export.transform([white, black], "source")
    assert images.shape == (2, 3, 16, 16)
    assert images.dtype == torch.float32
    assert torch.equal(images[0], torch.ones(3, 16, 16))
    assert torch.equal(images[1], -torch.ones(3, 16, 16))


def test_an_image_smaller_than_the_crop_of_its_domain_is_refused(export: Export) -> None:
    image = np.zeros((20, 20, 3), dtype=np.uint8)
    assert export.transform([image], "target").shape == (1, 3, 16, 16)
    with pytest.raises(DataError, match="crop 24 px"):
        export.transform([image], "source")


@pytest.mark.parametrize(
    "name",
    ["classifier.safetensors", "source_to_target.safetensors", "config.json", "metrics.json"],
)
def test_a_damaged_file_is_named(best: Path, name: str) -> None:
    body = bytearray((best / name).read_bytes())
    body[len(body) // 2] ^= 1
    (best / name).write_bytes(body)
    with pytest.raises(ResultsError, match=f"{name} is damaged"):
        load_export(best)


@pytest.mark.parametrize("name", ["classifier.onnx", "target_to_source.pt2"])
def test_a_damaged_program_is_named_and_a_missing_one_is_not_missed(
    portable: Path, tmp_path: Path, name: str
) -> None:
    folder = Path(shutil.copytree(portable, tmp_path / "best"))
    load_export(folder)
    body = bytearray((folder / name).read_bytes())
    body[len(body) // 2] ^= 1
    (folder / name).write_bytes(body)
    with pytest.raises(ResultsError, match=f"{name} is damaged"):
        load_export(folder)
    (folder / name).unlink()
    load_export(folder)


@pytest.mark.parametrize("name", ["classifier.safetensors", "config.json", "metrics.json"])
def test_a_link_is_refused_even_if_it_leads_to_the_right_contents(
    best: Path, tmp_path: Path, name: str
) -> None:
    (best / name).rename(tmp_path / "elsewhere")
    (best / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ResultsError, match=f"{name} is refused: it is a link; copy the file itse"):
        load_export(best)


@pytest.mark.parametrize("name", ["/etc/passwd", "../other/config.json", "..", "a\\b", "a/b", ""])
def test_checksums_of_files_outside_the_folder_are_refused(best: Path, name: str) -> None:
    with (best / CHECKSUMS_FILE).open("a") as file:
        file.write(f"{64 * '0'}  {name}\n")
    with pytest.raises(ResultsError, match="SHA256SUMS is refused: it names"):
        load_export(best)


class Exploit:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("exploited"),)


def test_a_pickle_in_place_of_weights_is_refused_and_not_run(
    best: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for contents in (pickle.dumps(Exploit()), b"", b"\xff" * 100):
        rewrite(best / "classifier.safetensors", contents)
        with pytest.raises(ResultsError, match=r"config\.json and the weights do not match"):
            load_export(best)
    assert not (tmp_path / "exploited").exists()


def test_a_missing_file_is_named(best: Path) -> None:
    (best / "classifier.safetensors").unlink()
    with pytest.raises(ResultsError, match=r"classifier\.safetensors is missing"):
        load_export(best)


def test_a_file_that_the_checksums_do_not_list_is_not_trusted(best: Path) -> None:
    lines = (best / CHECKSUMS_FILE).read_text().splitlines(keepends=True)
    (best / CHECKSUMS_FILE).write_text("".join(line for line in lines if "classifier" not in line))
    with pytest.raises(ResultsError, match=r"does not list classifier\.safetensors"):
        load_export(best)


def test_an_edited_model_card_does_not_stop_loading(best: Path) -> None:
    (best / "README.md").write_text("my own words")
    load_export(best)


def test_a_folder_that_is_no_export_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=f"{tmp_path} is not an export"):
        load_export(tmp_path)


def test_an_export_in_format_1_is_refused_and_is_to_be_exported_again(best: Path) -> None:
    rewrite_config(best, format=1, adaptune="0.0.9")
    message = r"format 1 of adaptune 0\.0\.9, .* loads format 2: export the model again"
    with pytest.raises(ResultsError, match=message):
        load_export(best)


def test_a_later_format_is_refused_with_its_version(best: Path) -> None:
    rewrite_config(best, format=3, adaptune="9.0", networks="renamed in this format")
    with pytest.raises(ResultsError, match=r"format 3 of adaptune 9\.0, .*: upgrade adaptune"):
        load_export(best)


def test_a_later_format_is_recognised_without_the_files_of_this_one(best: Path) -> None:
    rewrite_config(best, format=3)
    (best / "classifier.safetensors").unlink()
    with pytest.raises(ResultsError, match="upgrade adaptune"):
        load_export(best)


def test_a_config_without_a_format_is_refused(best: Path) -> None:
    rewrite_config(best, format=None)
    with pytest.raises(ResultsError, match=r"config\.json does not name its format"):
        load_export(best)


def test_weights_of_another_model_than_the_configured_one_are_refused(best: Path) -> None:
    rewrite_config(best, class_names=["cat", "dog"])
    with pytest.raises(ResultsError, match=r"config\.json and the weights do not match"):
        load_export(best)


def test_a_config_with_an_invalid_value_is_refused(best: Path) -> None:
    rewrite_config(best, seed="three")
    with pytest.raises(ResultsError, match=r"do not match: .*\nseed\n"):
        load_export(best)
