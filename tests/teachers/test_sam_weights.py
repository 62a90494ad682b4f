import os
import pickle
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled, RemoteEntryNotFoundError
from safetensors.torch import save_file

from segdistill.errors import ConfigError, DataError, EnvironmentFault
from segdistill.teachers import load_teacher, sam_weights
from segdistill.teachers.sam import encode
from segdistill.teachers.sam_sizes import resize_positions
from segdistill.teachers.sam_weights import (
    build_sam,
    config_beside,
    find_weights,
    read_state,
    weights_file,
    weights_hash,
)


@pytest.fixture
def nothing_cached(monkeypatch):
    monkeypatch.setattr(sam_weights, "try_to_load_from_cache", lambda *_: None)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_comes_back_as_it_was(sam, tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    state = {key: value.clone() for key, value in sam.state_dict().items()}
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    read = read_state(path)
    assert read.keys() == state.keys()
    assert all(torch.equal(read[key], state[key]) for key in state)


def test_a_folder_of_the_hub_is_a_whole_model(sam, sam_folder, picture):
    path = weights_file(sam_folder, missing="")
    state = read_state(path)
    again = build_sam(config_beside(path, state), state, size=None, source=str(path))
    assert torch.equal(encode(again, picture).embedding, encode(sam, picture).embedding)


def test_the_shared_table_may_be_there_once(sam, tmp_path):
    once = {key: value.clone() for key, value in sam.state_dict().items() if "shared_embedding" not in key}
    save_file(once, tmp_path / "a.safetensors")
    again = build_sam(sam.config, read_state(tmp_path / "a.safetensors"), size=None, source="a")
    table = again.prompt_encoder.shared_embedding.positional_embedding
    assert torch.equal(table, again.shared_image_embedding.positional_embedding)
    assert not table.is_meta


def test_everything_that_does_not_fit_is_named(sam, tmp_path):
    state = {key: value.clone() for key, value in sam.state_dict().items()}
    del state["vision_encoder.neck.conv1.weight"]
    del state["mask_decoder.iou_token.weight"]
    state["vision_encoder.neck.conv9.weight"] = torch.zeros(2)
    state["vision_encoder.pos_embed"] = torch.zeros(1, 4, 4, 32)
    with pytest.raises(DataError) as refusal:
        build_sam(sam.config, state, size=None, source="w.safetensors")
    message = str(refusal.value)
    for part in (
        "w.safetensors",
        "2 missing",
        "vision_encoder.neck.conv1.weight (32, 32, 1, 1)",
        "mask_decoder.iou_token.weight (1, 32)",
        "1 unexpected: vision_encoder.neck.conv9.weight (2,)",
        "vision_encoder.pos_embed is (1, 4, 4, 32) where (1, 8, 8, 32) is wanted",
    ):
        assert part in message


class Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch '{self.mark}'",)


def test_a_malicious_pickle_is_refused_and_does_not_run(tmp_path):
    mark = tmp_path / "ran"
    path = tmp_path / "weights.pth"
    with path.open("wb") as handle:
        pickle.dump({"image_encoder.pos_embed": Payload(mark)}, handle, protocol=2)
    with pytest.raises(DataError, match=r"refused.*safetensors"):
        read_state(path)
    torch.save({"image_encoder.pos_embed": Payload(mark)}, path)  # in torch's own zip
    with pytest.raises(DataError, match=r"refused.*safetensors"):
        read_state(path)
    assert not mark.exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.99])
def test_a_cut_file_is_refused(sam_folder, tmp_path, share):
    content = (sam_folder / "model.safetensors").read_bytes()
    path = tmp_path / "model.safetensors"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"whole"):
        read_state(path)


def test_a_pickle_of_something_else_is_refused(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "a.pth")
    with pytest.raises(DataError, match=r"list"):
        read_state(tmp_path / "a.pth")


@pytest.mark.usefixtures("nothing_cached")
@pytest.mark.parametrize(
    ("name", "hub", "file"),
    [
        ("sam-vit-b", "facebook/sam-vit-base", "model.safetensors"),
        ("sam-vit-h", "facebook/sam-vit-huge", "model.safetensors"),
        ("medsam", "wanglab/medsam-vit-base", "pytorch_model.bin"),
    ],
)
def test_missing_weights_are_told_with_hub_target_and_command(name, hub, file):
    with pytest.raises(EnvironmentFault) as refusal:
        find_weights(name, None, download=False)
    message = str(refusal.value)
    assert f"https://huggingface.co/{hub}" in message
    assert f"hf download {hub} {file} config.json --local-dir {Path('weights') / name}" in message
    assert f"segdistill weights fetch {name}" in message
    assert "--teacher-weights" in message


def test_a_wrong_path_is_told(tmp_path):
    with pytest.raises(EnvironmentFault, match=r"nowhere holds none"):
        find_weights("sam-vit-b", tmp_path / "nowhere", download=True)


def test_a_folder_may_hold_the_authors_own_file(tmp_path):
    (tmp_path / "sam_vit_b_01ec64.pth").touch()
    assert find_weights("sam-vit-b", tmp_path, download=False).name == "sam_vit_b_01ec64.pth"
    with pytest.raises(EnvironmentFault):
        find_weights("sam-vit-h", tmp_path, download=False)


@pytest.mark.usefixtures("nothing_cached")
@pytest.mark.parametrize("error", [OfflineModeIsEnabled("offline"), LocalEntryNotFoundError("no network")])
def test_a_download_that_fails_is_told(monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(sam_weights, "hf_hub_download", fail)
    with pytest.raises(EnvironmentFault, match=r"hf download.*The download failed: (offline|no network)"):
        find_weights("sam-vit-b", None, download=True)


def test_the_authors_file_must_have_the_authors_hash(tmp_path):
    path = tmp_path / "sam_vit_b_01ec64.pth"
    path.write_bytes(b"poisoned")
    with pytest.raises(DataError, match=r"is not the authors' file.*theirs is ec2df6273261"):
        weights_hash(path)
    assert len(weights_hash(path.rename(tmp_path / "mine.pth"))) == 64


@pytest.mark.usefixtures("nothing_cached")
def test_nothing_is_downloaded_unasked(monkeypatch):
    monkeypatch.setattr(sam_weights, "hf_hub_download", lambda *_: pytest.fail("it was asked"))
    with pytest.raises(EnvironmentFault):
        find_weights("sam-vit-l", None, download=False)


def test_an_encoder_of_no_known_width_needs_its_config(sam, tmp_path):
    with pytest.raises(DataError, match=r"32 wide.*config.json"):
        config_beside(tmp_path / "w.safetensors", sam.state_dict())
    with pytest.raises(DataError, match=r"no vision_encoder.pos_embed"):
        config_beside(tmp_path / "w.safetensors", {})


def test_another_image_size_runs(sam, picture):
    larger = build_sam(sam.config, sam.state_dict(), size=96, source="sam")
    encoded = encode(larger, picture)
    assert encoded.embedding.shape == (1, 32, 12, 12)
    assert encoded.square.scaled == (69, 96)
    with pytest.raises(ConfigError, match=r"multiple of 8"):
        build_sam(sam.config, sam.state_dict(), size=100, source="sam")


def test_position_tables_are_interpolated_and_windows_kept(sam):
    state = dict(sam.state_dict())
    same = resize_positions(state, sam.config, 64)
    assert all(torch.equal(same[key], state[key]) for key in state)
    ramp = torch.arange(8.0).reshape(1, 1, 8, 1).expand(1, 8, 8, 32)
    resized = resize_positions(state | {"vision_encoder.pos_embed": ramp}, sam.config, 128)
    table = resized["vision_encoder.pos_embed"][0, :, :, 0]
    assert table.shape == (16, 16)
    assert torch.allclose(table, table[:1].expand(16, 16), atol=1e-5)  # constant along y stays so
    assert (table[0].diff() > 0).all()  # and rising along x stays so
    assert table.mean().item() == pytest.approx(3.5)
    assert resized["vision_encoder.layers.0.attn.rel_pos_h"].shape == (5, 16)  # window of 3
    assert resized["vision_encoder.layers.1.attn.rel_pos_h"].shape == (31, 16)  # 16 cells


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """A cache of the hub in which nothing is; returns what puts a file into it."""
    place = tmp_path / "hub"
    place.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place))
    monkeypatch.setattr(sam_weights, "hf_hub_download", lambda *_: pytest.fail("the hub was asked"))
    monkeypatch.chdir(tmp_path)

    def put(repository, source, *names):
        owner, name = repository.split("/")
        repo = place / f"models--{owner}--{name}"
        (repo / "refs").mkdir(parents=True)
        (repo / "refs/main").write_text("abc")
        (repo / "snapshots/abc").mkdir(parents=True)
        for file in names:
            (repo / "snapshots/abc" / file).write_bytes((source / file).read_bytes())

    return put


FILES = ("model.safetensors", "config.json")


def test_a_repository_is_found_in_the_local_cache(cache, sam_folder):
    cache("somebody/their-sam", sam_folder, *FILES)
    path = find_weights("sam-vit-b", Path("somebody/their-sam"), download=False)
    assert path.read_bytes() == (sam_folder / "model.safetensors").read_bytes()


def test_a_repository_is_a_whole_sam(cache, sam_folder, sam, picture):
    cache("somebody/their-sam", sam_folder, *FILES)
    teacher = load_teacher("sam:somebody/their-sam", channels=("red", "green", "blue"))
    assert torch.equal(encode(teacher.model, picture).embedding, encode(sam, picture).embedding)


def test_what_is_on_disk_comes_before_the_cache(cache, sam_folder, tmp_path):
    cache("somebody/their-sam", sam_folder, *FILES)
    own = tmp_path / "somebody/their-sam"
    own.mkdir(parents=True)
    (own / "model.safetensors").touch()
    assert find_weights("sam-vit-b", Path("somebody/their-sam"), download=False) == Path(
        "somebody/their-sam/model.safetensors"
    )


@pytest.mark.usefixtures("cache")
def test_where_a_repository_was_looked_for_is_told(tmp_path):
    with pytest.raises(EnvironmentFault) as refusal:
        find_weights("sam-vit-b", Path("somebody/their-sam"), download=False)
    message = str(refusal.value)
    assert "no file or folder somebody/their-sam" in message
    assert f"({tmp_path / 'hub'}) has neither model.safetensors nor pytorch_model.bin" in message
    assert "hf download somebody/their-sam model.safetensors config.json" in message
    assert "segdistill weights fetch sam-vit-b" in message  # it may have been meant for a folder
    with pytest.raises(EnvironmentFault, match=r"'sam:somebody/their-sam': there is no file .*hub\) has neither"):
        load_teacher("sam:somebody/their-sam", channels=("red", "green", "blue"))


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("place", ["weights.pth", "../weights", "a/b/c", "a--b/c", "a/b.git"])
def test_what_is_no_name_of_a_repository_is_a_path(place):
    with pytest.raises(EnvironmentFault) as refusal:
        find_weights("sam-vit-b", Path(place), download=False)
    assert f"{place} holds none" in str(refusal.value)


class Absent(RemoteEntryNotFoundError):
    def __init__(self):
        """Need no answer of a server."""


@pytest.mark.usefixtures("cache")
def test_an_older_repository_is_downloaded_as_its_pickle(monkeypatch):
    asked = []

    def fetch(repository, file):
        asked.append(file)
        if file != "pytorch_model.bin":
            raise Absent
        return f"/cache/{repository}/{file}"

    monkeypatch.setattr(sam_weights, "hf_hub_download", fetch)
    path = find_weights("medsam", Path("somebody/old-sam"), download=True)
    assert path == Path("/cache/somebody/old-sam/pytorch_model.bin")
    assert asked == ["config.json", "model.safetensors", "pytorch_model.bin"]
