"""Simulated tissue: determinism, geometry, optics, and the law that there is something to distil."""

import errno
import json

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from skimage.measure import label

from segdistill.data.simulate import Tissue, TissueSettings, field_seed, simulate_tissue, write_tissue
from segdistill.data.simulate.camera import photograph
from segdistill.data.simulate.fields import smooth_field, stream
from segdistill.data.simulate.packing import largest_pieces, pack_cells, renumber
from segdistill.data.simulate.stain import inner_distance
from segdistill.errors import ConfigError, EnvironmentFault

SMALL = TissueSettings(height=48, width=72)


@pytest.fixture(scope="module")
def fields() -> list[Tissue]:
    return [simulate_tissue(seed) for seed in range(24)]


def whole_cells(tissue: Tissue) -> np.ndarray:
    """Ids of the cells that the edge of the field does not cut."""
    cells = tissue.cells
    cut = np.concatenate([cells[0], cells[-1], cells[:, 0], cells[:, -1]])
    return np.setdiff1d(np.arange(1, cells.max() + 1), cut)


def areas(labels: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(labels.ravel(), minlength=count + 1)


# Determinism and independent streams


def test_equal_seeds_give_equal_bytes_and_others_do_not():
    first, second, other = (simulate_tissue(seed, SMALL) for seed in (3, 3, 4))
    for name in ("image", "cells", "nuclei"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
        assert getattr(first, name).tobytes() != getattr(other, name).tobytes()


@pytest.mark.parametrize(
    "change",
    [{"photons": 30.0}, {"background": 30.0}, {"read_noise": 9.0}, {"blur": 2.0}, {"shading": 0.6}],
    ids=lambda change: next(iter(change)),
)
def test_the_microscope_changes_the_picture_and_not_the_tissue(change):
    plain = simulate_tissue(5, SMALL)
    changed = simulate_tissue(5, TissueSettings(height=48, width=72, **change))
    assert np.array_equal(plain.cells, changed.cells)
    assert np.array_equal(plain.nuclei, changed.nuclei)
    assert all((plain.image[index] != changed.image[index]).any() for index in range(2))


def test_a_stain_changes_its_own_channel_only():
    plain = simulate_tissue(5, SMALL)
    membrane = simulate_tissue(5, TissueSettings(height=48, width=72, membrane_gaps=0.6, membrane_negative=0.5))
    nucleus = simulate_tissue(5, TissueSettings(height=48, width=72, nucleus_diameter=0.4, out_of_plane=0.6))
    assert np.array_equal(plain.image[0], membrane.image[0])
    assert np.array_equal(plain.nuclei, membrane.nuclei)
    assert (plain.image[1] != membrane.image[1]).any()
    assert np.array_equal(plain.image[1], nucleus.image[1])
    assert np.array_equal(plain.cells, nucleus.cells)
    assert (plain.nuclei != nucleus.nuclei).any()


def test_streams_differ_by_name_and_by_seed():
    drawn = {stream(seed, name).random() for seed in (0, 1) for name in ("cells", "nuclei", "membrane", "camera")}
    assert len(drawn) == 8


# Geometry


kinds_of_tissue = st.builds(
    TissueSettings,
    height=st.integers(8, 40),
    width=st.integers(8, 60),
    cell_diameter=st.floats(8, 30),
    density=st.floats(0, 1),
    holes=st.floats(0, 1),
    elongation=st.floats(1, 3),
    nucleus_diameter=st.floats(0.2, 0.9),
    out_of_plane=st.floats(0, 1),
)


@given(seed=st.integers(0, 2**64 - 1), kind=kinds_of_tissue)
@settings(max_examples=40, deadline=None)
def test_laws_of_the_labels(seed, kind):
    tissue = simulate_tissue(seed, kind)
    assert tissue.image.shape == (2, kind.height, kind.width)
    assert tissue.image.dtype == np.uint16
    assert tissue.cells.dtype == tissue.nuclei.dtype == np.int32
    count = tissue.cells.max(initial=0)
    assert np.array_equal(np.setdiff1d(tissue.cells, 0), np.arange(1, count + 1))
    inside = tissue.nuclei > 0
    assert np.array_equal(tissue.nuclei[inside], tissue.cells[inside])
    for cell in whole_cells(tissue):
        assert label(tissue.cells == cell, connectivity=1).max() == 1
        assert label(tissue.nuclei == cell, connectivity=1).max() <= 1


def test_cells_on_a_canvas_are_single_pieces_numbered_without_holes():
    packing = pack_cells(np.random.default_rng(2), (90, 130), TissueSettings(elongation=3.0))
    assert np.array_equal(np.unique(packing.labels), np.arange(packing.angle.size + 1))
    for cell in range(1, packing.angle.size + 1):
        assert label(packing.labels == cell, connectivity=1).max() == 1


def test_a_typical_field_has_about_forty_cells_and_is_half_covered(fields):
    assert 0.4 < np.mean([(tissue.cells > 0).mean() for tissue in fields]) < 0.6
    assert 30 < np.mean([tissue.cells.max() for tissue in fields]) < 55
    nuclei = np.concatenate([areas(tissue.nuclei, tissue.cells.max())[whole_cells(tissue)] for tissue in fields])
    assert 9 < np.median(np.sqrt(4 / np.pi * nuclei[nuclei > 0])) < 13


@pytest.mark.parametrize("setting", [{"density": 0.0}, {"holes": 1.0}], ids=["density", "holes"])
def test_tissue_without_cells_is_background(setting):
    tissue = simulate_tissue(1, TissueSettings(height=40, width=56, shading=0.0, **setting))
    assert not tissue.cells.any()
    assert not tissue.nuclei.any()
    # 100 counts and 12 for each of 8 photons of stray light, which varies smoothly by a quarter.
    assert tissue.image.mean() == pytest.approx(196, rel=0.25)


def test_more_density_covers_more_and_more_holes_cover_less():
    def cover(**change: float) -> float:
        return float(np.mean([(simulate_tissue(s, TissueSettings(**change)).cells > 0).mean() for s in range(6)]))

    assert cover(density=0.4) < cover() - 0.05
    assert cover(holes=0.5) < cover() - 0.05


def test_nuclei_out_of_plane_are_absent_but_their_cells_remain():
    every, none, some = (simulate_tissue(7, TissueSettings(out_of_plane=share)) for share in (0.0, 1.0, 0.5))
    assert np.array_equal(every.cells, none.cells)
    assert not none.nuclei.any()
    count = every.cells.max()
    whole = whole_cells(every)
    assert (areas(every.nuclei, count)[whole] > 0).mean() > 0.95
    assert 0.2 < (areas(some.nuclei, count)[whole] > 0).mean() < 0.8


def test_elongation_stretches_cells():
    def mean_ratio(elongation: float) -> float:
        ratios = []
        for seed in range(3):
            tissue = simulate_tissue(seed, TissueSettings(elongation=elongation, density=0.5))
            for cell in whole_cells(tissue):
                spread = np.linalg.eigvalsh(np.cov(np.argwhere(tissue.cells == cell).T))
                ratios.append(np.sqrt(spread[1] / spread[0]))
        return float(np.mean(ratios))

    assert mean_ratio(2.5) > mean_ratio(1.0) + 0.2


# Stains and optics


def test_stains_lie_where_they_belong(fields):
    for tissue in fields[:6]:
        nucleus, membrane = tissue.image.astype(float)
        distance = inner_distance(tissue.cells)
        cell = tissue.cells > 0
        assert nucleus[tissue.nuclei > 0].mean() > 3 * nucleus[tissue.nuclei == 0].mean()
        assert membrane[cell & (distance == 0)].mean() > 1.3 * membrane[cell & (distance > 3)].mean()
        assert membrane[cell & (distance > 3)].mean() > 1.1 * membrane[~cell & (distance > 3)].mean()


def test_membranes_have_gaps_and_negative_cells():
    whole, gaps, negative = (
        simulate_tissue(2, TissueSettings(membrane_gaps=gaps, membrane_negative=share))
        for gaps, share in ((0.0, 0.0), (0.6, 0.0), (0.0, 1.0))
    )
    rim = (inner_distance(whole.cells) == 0) & (whole.cells > 0)
    assert gaps.image[1][rim].mean() < 0.8 * whole.image[1][rim].mean()
    assert negative.image[1][rim].mean() < 0.5 * whole.image[1][rim].mean()


def test_photons_by_hand():
    # 100 photons everywhere, nothing added: mean 100 + 12 * 100 counts, variance 12**2 * 100.
    plain = TissueSettings(blur=0.0, shading=0.0, background=0.0, read_noise=0.0)
    counts = photograph(np.random.default_rng(0), np.full((1, 120, 160), 100.0), plain, margin=0)
    assert counts.mean() == pytest.approx(1300, abs=4)
    assert counts.var() == pytest.approx(14400, rel=0.05)


def test_read_noise_by_hand():
    # No light: variance (12 * 5)**2 around 100 counts, but counts stop at 0, so the upper half is looked at.
    dark = TissueSettings(blur=0.0, shading=0.0, background=0.0, read_noise=5.0)
    counts = photograph(np.random.default_rng(0), np.zeros((1, 120, 160)), dark, margin=0).astype(float)
    upper = counts[counts >= 100] - 100
    assert np.sqrt((upper**2).mean()) == pytest.approx(60, rel=0.05)


def test_blur_moves_light_and_loses_none():
    light = np.zeros((1, 60, 80))
    light[0, 30, 40] = 1e5
    still = {"shading": 0.0, "background": 0.0, "read_noise": 0.0}
    sharp, blurred = (
        photograph(np.random.default_rng(0), light, TissueSettings(blur=blur, **still), margin=0).astype(float) - 100
        for blur in (0.5, 3.0)
    )
    # A pixel holds 65,535 counts; the sharp peak saturates, the blurred one keeps its 12 counts a photon.
    assert sharp.max() == 65435
    assert blurred.max() < 65435
    assert blurred.sum() == pytest.approx(12 * 1e5, rel=0.01)


def test_shading_darkens_one_place_by_the_given_share():
    lit = TissueSettings(blur=0.0, shading=0.5, background=0.0, read_noise=0.0)
    counts = photograph(np.random.default_rng(1), np.full((1, 90, 120), 1000.0), lit, margin=0)[0]
    level = gaussian_filter(counts.astype(float), 3) - 100
    assert level.min() / level.max() == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("scale", [2.0, 7.0, 30.0])
def test_smooth_fields_have_unit_variance_at_every_pixel(scale):
    generator = np.random.default_rng(0)
    drawn = np.stack([smooth_field(generator, (12, 17), scale=scale) for _ in range(2000)])
    assert np.abs(drawn.mean(0)).max() < 0.12
    assert np.abs(drawn.std(0) - 1).max() < 0.1
    # Neighbours agree, the more so the larger the scale; far apart they do not.
    assert np.corrcoef(drawn[:, 0, 0], drawn[:, 0, 1])[0, 1] > 0.5
    if scale < 5:
        assert abs(np.corrcoef(drawn[:, 0, 0], drawn[:, 11, 16])[0, 1]) < 0.1


# Small parts by hand


def test_largest_pieces_by_hand():
    labels = np.array([[1, 1, 0, 1], [0, 0, 2, 0], [3, 0, 3, 3]])
    kept = largest_pieces(labels, smallest=2.0)
    assert kept.tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 3, 3]]
    assert not largest_pieces(np.zeros((2, 3), int), smallest=1.0).any()


def test_renumber_by_hand():
    assert renumber(np.array([[5, 0, 2], [9, 2, 0]]), np.array([2, 9])).tolist() == [[0, 0, 1], [2, 1, 0]]
    assert renumber(np.zeros((1, 2), int), np.zeros(0, int)).tolist() == [[0, 0]]


def test_inner_distance_by_hand():
    # Cells 1 and 2 touch: both sides of the contact are border, and so is the rim towards nothing.
    distance = inner_distance(np.array([[1, 1, 1, 1, 2, 2, 0, 0]]))
    assert distance.tolist() == [[3, 2, 1, 0, 0, 0, 1, 2]]
    assert np.isinf(inner_distance(np.zeros((2, 3), int))).all()


# There is something to distil


def features(tissue: Tissue, channels: list[int]) -> np.ndarray:
    """Each pixel's surroundings at five scales, in the given channels."""
    counts = np.log(tissue.image[channels].astype(float) + 1)
    counts = (counts - counts.mean((1, 2), keepdims=True)) / counts.std((1, 2), keepdims=True)
    blurred = [gaussian_filter(channel, width) for channel in counts for width in (1, 2, 4, 7, 12)]
    return np.stack(blurred, -1).reshape(-1, 5 * len(channels))


def dice_of_neighbours(fields: list[Tissue], channels: list[int]) -> np.ndarray:
    """Dice on the last six fields of a nearest-neighbour vote over pixels of the others."""
    every = [(features(tissue, channels), (tissue.cells > 0).ravel()) for tissue in fields]
    known, answers = (np.concatenate([pair[index][::11] for pair in every[:-6]]) for index in range(2))
    tree, scores = cKDTree(known), []
    for value, truth in every[-6:]:
        guess = answers[tree.query(value[::7], k=25)[1]].mean(1) > 0.5
        scores.append(2 * (guess & truth[::7]).sum() / (guess.sum() + truth[::7].sum()))
    return np.array(scores)


def test_the_nucleus_channel_alone_underdetermines_the_cell(fields):
    nucleus, both = (dice_of_neighbours(fields, channels) for channels in ([0], [0, 1]))
    # The nuclei say something, the membranes say clearly more, on every field.
    cover = np.array([(tissue.cells > 0).mean() for tissue in fields[-6:]])
    assert nucleus.mean() > (2 * cover / (1 + cover)).mean() + 0.02  # better than "everything is cell"
    assert (both - nucleus).mean() > 0.06
    assert (both > nucleus).all()


def test_nuclei_do_not_tell_the_size_of_their_cells(fields):
    # Explain the logarithm of a cell's area by its nucleus's area and the distances to the three nearest nuclei.
    rows = []
    for tissue in fields:
        count = tissue.cells.max()
        cell, nucleus = areas(tissue.cells, count), areas(tissue.nuclei, count)
        seen = np.flatnonzero(nucleus[1:] > 0) + 1
        where = np.array([np.argwhere(tissue.nuclei == index).mean(0) for index in seen])
        near = cKDTree(where).query(where, k=4)[0][:, 1:]
        kept = np.isin(seen, whole_cells(tissue))
        rows.append(np.column_stack([np.log(cell[seen]), np.log(nucleus[seen]), np.log(near)])[kept])
    table = np.concatenate(rows)
    causes = np.column_stack([np.ones(len(table)), table[:, 1:]])
    rest = table[:, 0] - causes @ np.linalg.lstsq(causes, table[:, 0], rcond=None)[0]
    assert len(table) > 300
    assert 1 - rest.var() / table[:, 0].var() < 0.4
    assert 0.05 < np.corrcoef(table[:, 0], table[:, 1])[0, 1] < 0.55  # weakly coupled, not free


# Refusals


def test_all_bad_settings_are_named_at_once():
    with pytest.raises(ConfigError, match=r"height is 0, .*between 8 and inf; density is 1\.5, .*; blur is nan"):
        TissueSettings(height=0, density=1.5, blur=float("nan"))


def test_an_infinite_size_is_refused():
    with pytest.raises(ConfigError, match="photons is inf"):
        TissueSettings(photons=float("inf"))


def test_a_negative_seed_is_refused():
    with pytest.raises(ConfigError, match="seed of simulated tissue is -1"):
        simulate_tissue(-1)


# Files


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_written_fields_hold_what_was_simulated(tmp_path):
    write_tissue(tmp_path / "set", count=2, seed=9, settings=SMALL)
    assert sorted(contents(tmp_path / "set")) == [
        "images/tissue_0000.ome.tif",
        "images/tissue_0001.ome.tif",
        "labels/cell/tissue_0000.tif",
        "labels/cell/tissue_0001.tif",
        "labels/nucleus/tissue_0000.tif",
        "labels/nucleus/tissue_0001.tif",
        "tissue.json",
    ]
    tissue = simulate_tissue(field_seed(9, 1), SMALL)
    with tifffile.TiffFile(tmp_path / "set/images/tissue_0001.ome.tif") as file:
        assert file.is_ome
        assert file.series[0].axes == "CYX"
        assert np.array_equal(file.asarray(), tissue.image)
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert [channel["Name"] for channel in pixels["Channel"]] == ["nucleus", "membrane"]
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeXUnit"]) == (0.5, "µm")
    assert np.array_equal(tifffile.imread(tmp_path / "set/labels/cell/tissue_0001.tif"), tissue.cells)
    assert np.array_equal(tifffile.imread(tmp_path / "set/labels/nucleus/tissue_0001.tif"), tissue.nuclei)
    assert json.loads((tmp_path / "set/tissue.json").read_text())["settings"]["width"] == 72


def test_an_interrupted_call_goes_on_and_ends_with_the_same_bytes(tmp_path):
    for name in ("whole", "broken"):
        write_tissue(tmp_path / name, count=2, seed=1, settings=SMALL)
    (tmp_path / "broken/labels/cell/tissue_0001.tif").unlink()
    (tmp_path / "broken/images/tissue_0000.ome.tif").unlink()
    write_tissue(tmp_path / "broken", count=2, seed=1, settings=SMALL)
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


def test_a_folder_of_something_else_is_refused_and_kept(tmp_path):
    write_tissue(tmp_path / "set", count=1, seed=1, settings=SMALL)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep")
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match="other settings"):
        write_tissue(tmp_path / "set", count=1, seed=2, settings=SMALL)
    with pytest.raises(ConfigError, match="holds other files"):
        write_tissue(tmp_path / "mine", count=1, seed=1, settings=SMALL)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (1, -1)])
def test_impossible_counts_and_seeds_are_refused_before_writing(tmp_path, count, seed):
    with pytest.raises(ConfigError, match=f"count is {count} and seed is {seed}"):
        write_tissue(tmp_path / "set", count=count, seed=seed, settings=SMALL)
    assert not (tmp_path / "set").exists()


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    def full(partial, *_, **__):
        partial.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full)
    with pytest.raises(EnvironmentFault, match=r"no room to write .*tissue_0000\.ome\.tif"):
        write_tissue(tmp_path / "set", count=1, seed=0, settings=SMALL)
    assert list(contents(tmp_path / "set")) == ["tissue.json"]


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_no_two_fields_of_any_data_sets_share_a_seed(seed, index, other_seed, other_index):
    same = (seed, index) == (other_seed, other_index)
    assert (field_seed(seed, index) == field_seed(other_seed, other_index)) == same
