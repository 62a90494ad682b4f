import itertools
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from segdistill.data.labels import Structure
from segdistill.data.normalisation import PercentileRule
from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.errors import ConfigError, DataError, EnvironmentFault, ShapeError
from segdistill.settings import Distill, Protocol
from segdistill.study.main_job import distill
from segdistill.teachers import TeacherOptions, cellsam, load_teacher
from segdistill.teachers.cellsam import (
    CellSamTeacher,
    Keeping,
    cellsam_channels,
    cellsam_of_size,
    find_boxes,
)
from segdistill.teachers.cellsam_boxes import Boxes, DecoupledAttention, FinderSize, dynamic_threshold, waves
from segdistill.teachers.cellsam_image import equalised, finder_input, segmenter_input
from segdistill.teachers.cellsam_weights import (
    CellSam,
    CellSamSize,
    build_cellsam,
    find_cellsam,
    from_published_layout,
    full_cellsam_size,
)
from segdistill.teachers.request import Request
from segdistill.teachers.sam_layout import from_original_layout
from segdistill.teachers.weight_files import WEIGHTS
from segdistill.testing import check_teacher

LISTED = Path(__file__).parent / "official_cellsam_weights.txt"
FINDER = FinderSize(features=32, width=32, heads=2, inner=48, encoder_layers=2, decoder_layers=2, anchors=24)
PAIR = ("nucleus", "membrane")


def official() -> dict[str, tuple[int, ...]]:
    rows = [line.split() for line in LISTED.read_text().splitlines() if not line.startswith("#")]
    return {key: tuple(int(length) for length in shape.split("x")) for key, shape in rows}


def to_published(state: dict[str, torch.Tensor], names: dict[str, str]) -> dict[str, torch.Tensor]:
    """The inverse of ``from_published_layout``, by the official names of a SAM's weights."""
    published = {}
    for key, value in state.items():
        if key.startswith("segmenter."):
            theirs = names[key.removeprefix("segmenter.")]
            published[f"model_cp.{theirs}"] = value
            published[f"model.{theirs}"] = torch.zeros_like(value)
        elif key.startswith("backbone."):
            theirs = names[f"vision_encoder.{key.removeprefix('backbone.')}"]
            published[f"cellfinder.decode_head.backbone.body.{theirs.removeprefix('image_encoder.')}"] = value
        else:
            published[f"cellfinder.decode_head.{key.removeprefix('boxes.')}"] = value
    return {key: value.clone() for key, value in published.items()}


@pytest.fixture(scope="module")
def names(config) -> dict[str, str]:
    """transformers' name to the official one, from the official package itself."""
    assert config.vision_config.image_size == 64
    encoder = ImageEncoderViT(
        img_size=64, patch_size=8, embed_dim=32, depth=2, num_heads=2, out_chans=32, window_size=3, qkv_bias=True,
        use_rel_pos=True, global_attn_indexes=(1,),
    )  # fmt: skip
    prompts = PromptEncoder(embed_dim=32, image_embedding_size=(8, 8), input_image_size=(64, 64), mask_in_chans=16)
    across = TwoWayTransformer(depth=2, embedding_dim=32, mlp_dim=48, num_heads=2)
    decoder = MaskDecoder(transformer_dim=32, transformer=across, iou_head_depth=3, iou_head_hidden_dim=24)
    keys = list(Sam(encoder, prompts, decoder).state_dict())
    marked = {key: torch.tensor(float(place)) for place, key in enumerate(keys)}
    return {ours: keys[int(place)] for ours, place in from_original_layout(marked).items()}


@pytest.fixture(scope="module")
def size(config) -> CellSamSize:
    return CellSamSize(sam=config, finder=FINDER)


@pytest.fixture(scope="module")
def model(size, randomise) -> CellSam:
    """Both networks with random weights; the anchors lie in the picture."""
    torch.manual_seed(0)
    model = CellSam(size)
    randomise(dict(model.named_parameters()))
    with torch.no_grad():
        model.boxes.transformer.position.weight.uniform_(0, 1)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def published(model, names) -> dict[str, torch.Tensor]:
    return to_published(model.state_dict(), names)


@pytest.fixture(scope="module")
def file(published, tmp_path_factory) -> Path:
    """A tiny model saved as the authors save theirs."""
    path = tmp_path_factory.mktemp("cellsam") / "cellsam_general.pt"
    torch.save(published, path)
    return path


@pytest.fixture(scope="module")
def teacher(file, size) -> CellSamTeacher:
    made = cellsam_of_size(Request(name="cellsam", channels=PAIR, weights=file), size)
    assert isinstance(made, CellSamTeacher)
    return made


@pytest.fixture
def cells() -> np.ndarray:
    """Nothing, nuclei, membranes: not square."""
    y, x = np.mgrid[:48, :64].astype(np.float32)
    nuclei = sum(np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 20) for cy, cx in ((12, 14), (30, 44), (36, 16)))
    return np.stack([np.zeros_like(y), nuclei / nuclei.max(), np.abs(np.sin(x / 9) * np.cos(y / 7))])


# The published weights


def test_the_official_list_is_exactly_our_full_size_model():
    listed = official()
    assert len(listed) == 1041
    with torch.device("meta"):
        ours = {key: tuple(value.shape) for key, value in CellSam(full_cellsam_size()).state_dict().items()}
        state = {key: torch.empty(shape) for key, shape in listed.items()}
    converted = {key: tuple(value.shape) for key, value in from_published_layout(state).items()}
    unused = {key: shape for key, shape in converted.items() if key.startswith("model.")}
    assert {key: shape for key, shape in converted.items() if key not in unused} == ours
    assert {key.removeprefix("model.") for key in unused} == {
        key.removeprefix("segmenter.") for key in ours if key.startswith("segmenter.")
    }


def test_the_official_list_has_the_numbers_of_keys_that_are_reported():
    keys = list(official())
    finder = [key for key in keys if key.startswith("cellfinder.decode_head.")]
    assert (len(finder), len([key for key in finder if ".backbone.body." in key])) == (413, 171)
    assert [len([key for key in keys if key.startswith(prefix)]) for prefix in ("model.", "model_cp.")] == [314, 314]


def test_a_file_in_the_published_layout_comes_back_as_it_was(model, published, size):
    again = build_cellsam(size, published, source="a file").state_dict()
    assert again.keys() == model.state_dict().keys()
    assert all(torch.equal(again[key], value) for key, value in model.state_dict().items())


def test_a_state_that_a_trainer_wrapped_is_found(published, size, tmp_path, cells):
    path = tmp_path / "tuned.pt"
    torch.save({"state_dict": published, "epoch": 3}, path)
    torch.save({"model": 3}, tmp_path / "other.pt")
    with pytest.raises(DataError, match="tensors"):
        cellsam_of_size(Request(name="cellsam", channels=PAIR, weights=tmp_path / "other.pt"), size)
    made = cellsam_of_size(Request(name="cellsam", channels=PAIR, weights=path), size)
    assert made.maps(cells).shape == (2, 48, 64)


def test_what_does_not_fit_is_named_in_every_network(published, size):
    state = dict(published)
    del state["model_cp.mask_decoder.iou_token.weight"]
    del state["model.mask_decoder.iou_token.weight"]
    del state["cellfinder.decode_head.backbone.body.pos_embed"]
    state["cellfinder.decode_head.transformer.position.weight"] = torch.zeros(9, 2)
    state["cellfinder.decode_head.transformer.level_embed.weight"] = torch.zeros(3, 32)
    with pytest.raises(DataError) as refusal:
        build_cellsam(size, state, source="w.pt")
    for part in (
        "w.pt",
        "3 missing",
        "segmenter.mask_decoder.iou_token.weight",
        "model.mask_decoder.iou_token.weight",
        "backbone.pos_embed",
        "1 unexpected: boxes.transformer.level_embed.weight (3, 32)",
        "boxes.transformer.position.weight is (9, 2) where (24, 2) is wanted",
    ):
        assert part in str(refusal.value)


def test_the_first_release_is_refused_with_the_command_that_gets_the_second(published, size):
    old = {key: value for key, value in published.items() if not key.startswith("model_cp.")}
    with pytest.raises(DataError, match=r"not CellSAM of version 1\.2.*segdistill weights fetch cellsam"):
        build_cellsam(size, old, source="cellsam_base.pt")


def test_missing_weights_are_told_with_source_checksum_target_terms_and_command(tmp_path):
    with pytest.raises(EnvironmentFault) as refusal:
        load_teacher("cellsam", channels=PAIR, weights=tmp_path)
    for part in (
        "models/cellsam-models_v1.2.tar.gz at https://users.deepcell.org",
        "md5:f41e6899c49fc8ce12f77a8d25594604",
        str(Path("weights") / "cellsam-models_v1.2.tar.gz"),
        "non-commercial",
        "DEEPCELL_ACCESS_TOKEN",
        "segdistill weights fetch cellsam",
        f"--teacher-weights {Path('weights') / 'cellsam'}",
    ):
        assert part in str(refusal.value)


def test_weights_are_found_in_the_folder_that_fetch_leaves_and_in_the_authors_own(tmp_path, monkeypatch):
    mine = tmp_path / "weights" / "cellsam" / "cellsam_v1.2" / "cellsam_general.pt"
    theirs = tmp_path / ".deepcell" / "models" / "cellsam_v1.2" / "cellsam_general.pt"
    for path in (mine, theirs):
        path.parent.mkdir(parents=True)
        path.touch()
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert find_cellsam(tmp_path / "weights" / "cellsam") == mine
    assert find_cellsam(None) == theirs


def test_without_a_home_folder_it_is_told_what_is_missing(monkeypatch, tmp_path):
    def homeless():
        raise RuntimeError("no home")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(EnvironmentFault, match="cellsam_general"):
        find_cellsam(None)


class Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch '{self.mark}'",)


def test_code_in_the_weights_does_not_run(tmp_path, size):
    torch.save({"model_cp.pos": Payload(tmp_path / "ran")}, tmp_path / "cellsam_general.pt")
    with pytest.raises(DataError, match="refused"):
        cellsam_of_size(Request(name="cellsam", channels=PAIR, weights=tmp_path), size)
    assert not (tmp_path / "ran").exists()


# The box finder


def test_decoupled_attention_by_the_definition():
    # Wang et al. 2021, eq. 6 and 7, one query and head at a time: sum over y and x of
    # softmax_y(q_y · mean_x k_y / √d) · softmax_x(q_x · mean_y k_x / √d) · v.
    torch.manual_seed(0)
    width, heads, (rows, columns), queries = 6, 2, (3, 4), 5
    attention = DecoupledAttention(width, heads)
    torch.nn.init.normal_(attention.in_proj_bias)
    query_x, query_y = torch.randn(2, 1, queries, width)
    key_x, key_y, value = torch.randn(3, 1, rows, columns, width)
    weights, biases = attention.in_proj_weight.chunk(5), attention.in_proj_bias.chunk(5)
    qx, qy, kx, ky, v = (
        part[0] @ weight.T + bias
        for part, weight, bias in zip((query_x, query_y, key_x, key_y, value), weights, biases, strict=True)
    )
    seen = torch.zeros(queries, width)
    depth = width // heads
    for query, head in itertools.product(range(queries), range(heads)):
        part = slice(head * depth, (head + 1) * depth)
        by_x = torch.stack([qx[query, part] @ kx[:, x, part].mean(0) for x in range(columns)]) / math.sqrt(depth)
        by_y = torch.stack([qy[query, part] @ ky[y, :, part].mean(0) for y in range(rows)]) / math.sqrt(depth)
        share = by_y.softmax(0)[:, None] * by_x.softmax(0)[None]
        seen[query, part] = (share[..., None] * v[..., part]).sum((0, 1))
    expected = attention.out_proj(seen)
    torch.testing.assert_close(attention(query_x, query_y, key_x, key_y, value)[0], expected)


def test_waves_by_hand():
    # Four numbers: a wave of one turn per side, and one of 1/100: 10000 ** (2 · 1 / 4) = 100.
    turn = 2 * math.pi * 0.125
    expected = [math.sin(turn), math.cos(turn), math.sin(turn / 100), math.cos(turn / 100)]
    assert waves(torch.tensor([0.125]), 4)[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_an_untrained_finder_boxes_its_own_anchors():
    # DETR's start: the last layer of the box head is 0, its bias for the size -2. Then the centre is the
    # anchor itself and the sides are sigmoid(-2) = 0.1192.
    finder = Boxes(FINDER)
    with torch.no_grad():
        last = finder.transformer.bbox_embed[0].layers[2]
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.0, 0.0, -2.0, -2.0]))
        finder.transformer.position.weight.uniform_(0.1, 0.9)
        boxes, scores = finder(torch.randn(1, 32, 3, 5))
    torch.testing.assert_close(boxes[0, :, :2], finder.transformer.position.weight.detach())
    assert boxes[0, :, 2:].flatten().tolist() == pytest.approx([0.119203] * 48, abs=1e-5)
    assert scores.shape == (1, 24, 2)


def test_pictures_in_a_batch_do_not_see_each_other():
    finder = Boxes(FINDER).eval()
    tokens = torch.randn(3, 32, 4, 6)
    together = finder(tokens)
    for place in range(3):
        alone = finder(tokens[place : place + 1])
        for part, whole in zip(alone, together, strict=True):
            torch.testing.assert_close(part[0], whole[place], atol=1e-5, rtol=1e-4)


def test_the_threshold_by_hand():
    # Two clusters, {0.1, 0.2} and {0.8}: the middle of 0.15 and 0.8 is 0.475; 0.66 · 0.4 + 0.33 · 0.475 = 0.42075.
    assert dynamic_threshold([0.8, 0.1, 0.2], base=0.4) == pytest.approx(0.42075)
    assert dynamic_threshold([0.3, 0.3], base=0.4) == 0.4
    assert dynamic_threshold([], base=0.4) == 0.4


@given(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=2, max_size=8))
def test_the_threshold_comes_from_the_best_division(scores):
    # Brute force over every division of the sorted scores: the sum of squares within is least.
    ordered = sorted(scores)
    if ordered[0] == ordered[-1]:
        return

    def within(part):
        return sum((value - sum(part) / len(part)) ** 2 for value in part)

    cuts = [(within(ordered[:cut]) + within(ordered[cut:]), cut) for cut in range(1, len(ordered))]
    least = min(cost for cost, _ in cuts)
    middles = [
        (sum(ordered[:cut]) / cut + sum(ordered[cut:]) / (len(ordered) - cut)) / 2
        for cost, cut in cuts
        if cost <= least + 1e-9
    ]
    found = (dynamic_threshold(scores, base=0.4) - 0.66 * 0.4) / 0.33
    assert min(abs(found - middle) for middle in middles) < 1e-6


# What the networks see


def test_each_channel_is_stretched_whatever_its_range(cells):
    weak = cells * np.array([1, 0.3, 0.02])[:, None, None] + np.array([0, 0.1, 0.5])[:, None, None]
    assert np.allclose(equalised(weak), equalised(cells), atol=2e-3)
    assert equalised(cells).dtype == np.float32


def test_an_empty_channel_of_two_is_filled_from_the_other_for_the_finder_alone():
    picture = torch.zeros(3, 6, 8)
    picture[2] = torch.linspace(0, 1, 8)
    seen = finder_input(picture, 16)
    assert torch.equal(seen[0, 1], seen[0, 2])
    assert not seen[0, 0].any()
    masks = segmenter_input(picture, 16)
    assert masks[0, 1].unique().numel() == 1
    assert masks[0, 2].unique().numel() > 1


def test_the_finder_sees_a_picture_of_8_bits_from_0_to_1():
    seen = finder_input(torch.rand(3, 20, 30), 32)
    assert seen.amin((2, 3)).tolist() == [[0, 0, 0]]
    assert seen.amax((2, 3)).tolist() == [[1, 1, 1]]
    assert seen[0, 0].unique().numel() <= 256


def test_the_brightest_values_are_cut_off_before_masks_are_drawn():
    # 1000 pixels of 0.5, one of 1: the 99.5th percentile of what is not 0 is 0.5, so both become the highest value.
    picture = torch.zeros(3, 32, 32)
    picture[1].flatten()[:1000] = 0.5
    picture[1, 0, 0] = 1.0
    seen = segmenter_input(picture, 32)[0, 1]
    assert seen[0, 0] == seen[0, 1] == seen.max()


def test_a_black_image_has_no_cells(teacher):
    assert teacher.maps(np.zeros((3, 20, 30), dtype=np.float32)).shape == (2, 20, 30)


# The teacher


def test_it_keeps_the_contract_of_teachers(teacher):
    check_teacher(teacher)


def test_its_contract_carries_its_terms_and_what_it_may_have_seen(teacher):
    contract = teacher.contract
    assert "non-commercial" in contract.licence
    assert contract.labels_seen is None
    assert (contract.channels, contract.outputs) == (("blank", *PAIR), ("cell", "cell.boundary"))
    assert (contract.rule, contract.needs, contract.prompting) == (PercentileRule(lower=0.0, upper=99.9), (), None)
    assert not contract.oracle
    assert len(contract.weights_sha256) == 64


def test_its_maps_are_soft_and_the_boundary_lies_in_the_foreground(teacher, cells):
    lenient = replace(teacher, keeping=Keeping(box=0.0, predicted_iou=-math.inf))
    foreground, boundary = lenient.maps(cells)
    assert 0 < foreground.max() <= 1
    assert np.unique(foreground).size > 20  # not cut at a threshold
    assert (boundary <= foreground + 1e-6).all()


def test_boxes_are_found_best_first_and_more_of_them_below_a_lower_threshold(model, cells):
    pixels = torch.from_numpy(equalised(cells))
    with torch.no_grad():
        few, many = (find_boxes(model, pixels, base=base) for base in (0.6, 0.0))
    assert len(few) <= len(many) <= FINDER.anchors
    assert torch.equal(many[: len(few)], few)


def test_masks_of_a_low_predicted_iou_are_left_out(teacher, cells):
    strict = replace(teacher, keeping=Keeping(box=0.0, predicted_iou=math.inf))
    assert not strict.maps(cells).any()


def test_a_taller_picture_of_the_same_fills_the_same_square():
    # Unlike SAM, CellSAM draws every picture out to the square: a pattern of columns looks the same however tall.
    columns = torch.rand(3, 1, 24)
    seen = [finder_input(columns.expand(3, height, 24).contiguous(), 64) for height in (10, 40)]
    torch.testing.assert_close(*seen)
    masks = [segmenter_input(columns.expand(3, height, 24).contiguous(), 64) for height in (10, 40)]
    torch.testing.assert_close(*masks)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (("DAPI",), ("blank", "blank", "DAPI")),
        (PAIR, ("blank", *PAIR)),
        (("red", "green", "blue"), ("red", "green", "blue")),
    ],
)
def test_one_two_or_three_channels_fill_the_last_ones(given, taken):
    assert cellsam_channels(given) == taken


@pytest.mark.parametrize("given", [None, (), ("a", "b", "c", "d")])
def test_other_numbers_of_channels_are_refused(given):
    with pytest.raises(ConfigError, match="--teacher-channels"):
        cellsam_channels(given)


def test_the_membrane_before_the_nucleus_is_refused():
    with pytest.raises(ConfigError, match=r"Give --teacher-channels nucleus membrane"):
        cellsam_channels(("membrane", "nucleus"))


def test_an_image_without_three_channels_is_refused(teacher):
    with pytest.raises(ShapeError, match="three channels"):
        teacher.maps(np.zeros((2, 8, 8), dtype=np.float32))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompting": "grid"}, "prompting grid"),
        ({"options": TeacherOptions(size=512)}, "size 512"),
        ({"options": TeacherOptions(download=True)}, "segdistill weights fetch cellsam"),
        ({"structures": (Structure("cell", True), Structure("nucleus", True))}, r"there are 2 \(cell, nucleus\)"),
    ],
)
def test_what_it_cannot_do_is_refused(change, words, size):
    with pytest.raises(ConfigError, match=words):
        cellsam_of_size(replace(Request(name="cellsam", channels=PAIR), **change), size)


def test_it_runs_in_half_precision(file, size, cells):
    request = Request(name="cellsam", channels=PAIR, weights=file, options=TeacherOptions(precision="bfloat16"))
    maps = cellsam_of_size(request, size).maps(cells)
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()


def test_a_student_carries_its_terms_in_the_card(file, size, tmp_path, monkeypatch):
    write_tissue(tmp_path / "tissue", count=4, seed=5, settings=TissueSettings(height=32, width=48))
    monkeypatch.setattr(cellsam, "full_cellsam_size", lambda: size)
    finished = distill(
        Distill(
            data=tmp_path / "tissue",
            out=tmp_path / "run",
            label_sets=("cell",),
            label_kind="instances",
            teacher="cellsam",
            teacher_weights=file,
            teacher_channels=PAIR,
            student="unet-tiny",
            student_channels=("nucleus",),
            labels=2,
            split=(0.5, 0.25, 0.25),
            protocol=Protocol(steps=1, batch_size=2, crop=32, validations=1),
            device="cpu",
        )
    )
    card = json.loads((finished.folder / "arms/student/0/model/model.json").read_text())
    assert card["licences"] == [f"teacher cellsam: {WEIGHTS['cellsam'].licence}"]
    page = (finished.folder / "arms/student/0/model/README.md").read_text()
    assert "non-commercial academic use only" in page
    assert any("an unknown number of labelled images" in note for note in card["notes"])


def test_looking_it_up_needs_no_torch():
    code = (
        "import sys; from segdistill.teachers.weight_files import WEIGHTS; "
        "assert 'cellsam' in WEIGHTS; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
