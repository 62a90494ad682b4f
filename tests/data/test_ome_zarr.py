import re
import shutil
import warnings

import numcodecs
import numpy as np
import pytest
import zarr
import zarr.codecs

from segdistill.data.readers import open_image, read_image
from segdistill.errors import DataError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # ome-zarr uses a class that it declares deprecated
    from ome_zarr.format import FormatV04, FormatV05
    from ome_zarr.writer import write_image

STACK = np.random.default_rng(0).integers(1, 4000, (2, 120, 150), dtype=np.uint16)
WINDOW = (slice(30, 101), slice(60, 150))
VERSIONS = ["0.4", "0.5"]
MICROMETRES = [
    {"name": "c", "type": "channel"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]


def make(path, version, array=STACK, *, axes=MICROMETRES, scale=(1, 0.5, 0.5), labels=("DAPI", "actin"), **options):
    """Write an OME-Zarr by hand, in the layout of the specification."""
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    options = {"chunks": (*[1] * (array.ndim - 2), 48, 48), **options}
    stored = group.create_array("0", shape=array.shape, dtype=array.dtype, fill_value=0, **options)
    stored[:] = array
    multiscale = {
        "axes": axes,
        "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": list(scale)}]}],
    }
    metadata = {"multiscales": [multiscale]}
    if labels:
        metadata["omero"] = {"channels": [{"label": label} for label in labels]}
    if version == "0.4":
        multiscale["version"] = version
        group.attrs.update(metadata)
    else:
        group.attrs.update({"ome": {"version": version, **metadata}})
    return path


def files(path):
    """Return the chunk files of the full resolution, in order."""
    return sorted(
        file for file in (path / "0").rglob("*") if file.is_file() and not file.name.startswith((".z", "zarr"))
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_reference_library_writes(tmp_path, version):
    path = tmp_path / "a.ome.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_image(
            STACK,
            group,
            axes="cyx",
            fmt=FormatV04() if version == "0.4" else FormatV05(),
            scale={"y": 0.5, "x": 0.5},
            axes_units={"y": "micrometer", "x": "micrometer"},
            scale_factors=[2],
            storage_options={"chunks": (1, 48, 48)},
        )
    image = read_image(path)
    assert np.array_equal(image.array, STACK)
    assert (image.channels, image.pixel_size) == (("c0", "c1"), 0.5)


@pytest.mark.parametrize("version", VERSIONS)
def test_names_pixel_size_and_windows(tmp_path, version):
    with open_image(make(tmp_path / "a b é.ome.zarr", version)) as image:
        assert (image.channels, image.pixel_size) == (("DAPI", "actin"), 0.5)
        assert (image.shape, image.dtype) == ((2, 120, 150), np.uint16)
        assert np.array_equal(image.read(), STACK)
        assert np.array_equal(image.read(WINDOW), STACK[:, *WINDOW])
    renamed = read_image(tmp_path / "a b é.ome.zarr", channels=["n", "m"])
    assert (renamed.channels, renamed.stated) == (("n", "m"), ("DAPI", "actin"))
    with pytest.raises(DataError, match=r"names its channels itself: DAPI, actin.*puts actin and DAPI elsewhere"):
        read_image(tmp_path / "a b é.ome.zarr", channels=["actin", "DAPI"])


@pytest.mark.parametrize("dtype", [">u2", "u1", "i4", "f4", "f8", "bool"])
def test_types(tmp_path, dtype):
    values = STACK.astype(dtype)
    image = read_image(make(tmp_path / "a.zarr", "0.4", values))
    assert image.array.dtype.isnative
    assert np.array_equal(image.array, values * 255 if dtype == "bool" else values)


def test_complex_numbers_are_refused(tmp_path):
    with pytest.raises(DataError, match="complex64"):
        open_image(make(tmp_path / "a.zarr", "0.5", STACK.astype("c8")))


@pytest.mark.parametrize("version", VERSIONS)
def test_units_and_scales_of_the_whole_multiply(tmp_path, version):
    nanometres = [MICROMETRES[0], *({**axis, "unit": "nanometer"} for axis in MICROMETRES[1:])]
    path = make(tmp_path / "a.zarr", version, axes=nanometres, scale=(1, 250, 250))
    assert read_image(path).pixel_size == 0.25
    group = zarr.open_group(path)
    metadata = dict(group.attrs)
    ome = metadata if version == "0.4" else metadata["ome"]
    ome["multiscales"][0]["coordinateTransformations"] = [{"type": "scale", "scale": [1.0, 2.0, 2.0]}]
    group.attrs.update(metadata)
    assert read_image(path).pixel_size == 0.5


def test_a_scale_without_a_unit_is_no_pixel_size(tmp_path):
    plain = [{"name": name} for name in "cyx"]
    assert read_image(make(tmp_path / "a.zarr", "0.4", axes=plain)).pixel_size is None


def test_pixels_that_are_not_square_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"0\.5 µm along y and 0\.6 µm along x"):
        open_image(make(tmp_path / "a.zarr", "0.4", scale=(1, 0.5, 0.6)))


@pytest.mark.parametrize("version", VERSIONS)
def test_axes_of_length_one_are_dropped_and_stacks_refused(tmp_path, version):
    axes = [{"name": "t", "type": "time"}, MICROMETRES[0], {"name": "z", "type": "space"}, *MICROMETRES[1:]]
    single = make(tmp_path / "a.zarr", version, STACK[None, :, None], axes=axes, scale=(1, 1, 2, 0.5, 0.5))
    assert np.array_equal(read_image(single).array, STACK)
    stack = np.stack([STACK] * 3, axis=1)[None]
    deep = make(tmp_path / "b.zarr", version, stack, axes=axes, scale=(1, 1, 2, 0.5, 0.5))
    with pytest.raises(DataError, match=r"1 time, 2 channel, 3 depth.*project the stack"):
        open_image(deep)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("separator", [".", "/"])
def test_a_missing_chunk_is_named_not_made_up(tmp_path, version, separator):
    keys = {"name": "v2" if version == "0.4" else "default", "separator": separator}
    path = make(tmp_path / "a.zarr", version, chunk_key_encoding=keys)
    lost = files(path)[2]
    lost.unlink()
    assert zarr.open_group(path)["0"][0, 0, 100] == 0, "zarr itself returns zeros"
    key = lost.relative_to(path / "0").as_posix()
    with open_image(path) as image:
        with pytest.raises(DataError, match=f"lacks 1 of the 24 chunks that are needed: {key}"):
            image.read()
        # The lost chunk has y 0 to 48 and x 96 to 144; a window beside it needs it not.
        assert np.array_equal(image.read((slice(0, 48), slice(0, 96))), STACK[:, :48, :96])
        with pytest.raises(DataError, match="lacks 1 of the 4 chunks"):
            image.read((slice(47, 48), slice(95, 97)))
    filled = read_image(path, fill_missing=True).array
    assert not filled[0, :48, 96:144].any()
    assert np.array_equal(filled[1], STACK[1])


COMPRESSORS = {
    "0.4": {"none": None, "blosc": numcodecs.Blosc("lz4"), "zstd": numcodecs.Zstd(), "zlib": numcodecs.Zlib()},
    "0.5": {"none": None, "blosc": zarr.codecs.BloscCodec(cname="lz4"), "zstd": zarr.codecs.ZstdCodec()},
}


@pytest.mark.parametrize("kept", [0, 10, 200, 2000])
@pytest.mark.parametrize(
    ("version", "name"), [(version, name) for version in VERSIONS for name in COMPRESSORS[version]]
)
def test_a_cut_chunk_is_refused(tmp_path, version, name, kept):
    # zarr reads one that Blosc compressed as whatever lies in memory, and says nothing.
    path = make(tmp_path / "a.zarr", version, compressors=COMPRESSORS[version][name])
    assert np.array_equal(read_image(path).array, STACK)
    chunk = files(path)[0]
    chunk.write_bytes(chunk.read_bytes()[:kept])
    with (
        open_image(path) as image,
        pytest.raises(DataError, match=r"a\.zarr.*(cannot be read|1 chunks that are shorter)"),
    ):
        image.read()


def test_a_lost_shard_is_refused_but_empty_chunks_inside_a_shard_are_not(tmp_path):
    half = STACK.copy()
    half[:, :48, :48] = 0  # the writer leaves this chunk out of its shard
    path = make(tmp_path / "a.zarr", "0.5", half, shards=(1, 96, 96))
    assert np.array_equal(read_image(path).array, half)
    files(path)[0].unlink()
    with open_image(path) as image, pytest.raises(DataError, match="lacks 1 of the 8 chunks"):
        image.read()


def test_a_forged_shape_is_refused(tmp_path):
    path = make(tmp_path / "a.zarr", "0.4")
    metadata = (path / "0" / ".zarray").read_text()
    (path / "0" / ".zarray").write_text(metadata.replace("120", "120000000000000"))
    for fill_missing in (False, True):
        with open_image(path, fill_missing=fill_missing) as image, pytest.raises(DataError, match="fit into memory"):
            image.read()


def test_names_that_are_numbers_are_names(tmp_path):
    assert read_image(make(tmp_path / "a.zarr", "0.5", labels=(488, 561))).channels == ("488", "561")


def test_damaged_metadata_is_refused(tmp_path):
    path = make(tmp_path / "a.zarr", "0.4")
    text = (path / ".zattrs").read_text()
    for broken in (
        text[: len(text) // 2],
        "{}",
        "[]",
        text.replace('"datasets"', '"data"'),
        text.replace('"0"', '"9"'),
    ):
        (path / ".zattrs").write_text(broken)
        with pytest.raises(DataError, match=r"a\.zarr"):
            open_image(path)


@pytest.mark.parametrize("value", ["null", "[]", "-1", "1e30"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.filterwarnings("ignore")
def test_no_damage_of_metadata_escapes_as_anything_but_a_refusal(tmp_path, version, value):
    # Every name, number and truth value in the metadata is replaced, one at a time.
    path = make(tmp_path / "a.zarr", version)
    names = (".zattrs", "0/.zarray") if version == "0.4" else ("zarr.json", "0/zarr.json")
    refused = 0
    for file in [path / name for name in names]:
        text = file.read_text()
        for token in re.finditer(r'"[^"]*"|-?\d+(\.\d+)?|true|false|null', text):
            file.write_text(text[: token.start()] + value + text[token.end() :])
            try:
                with open_image(path) as image:
                    assert image.read().shape == image.shape
            except DataError:
                refused += 1
        file.write_text(text)
    assert refused > 20


def test_the_version_may_be_left_out_but_others_are_refused_with_a_hint(tmp_path):
    path = make(tmp_path / "a.zarr", "0.4")
    group = zarr.open_group(path)
    multiscales = group.attrs["multiscales"]
    del multiscales[0]["version"]
    group.attrs["multiscales"] = multiscales
    assert np.array_equal(read_image(path).array, STACK)  # it may be left out
    multiscales[0]["version"] = "0.2"
    group.attrs["multiscales"] = multiscales
    with pytest.raises(DataError, match=r"version 0\.2; versions 0\.4 and 0\.5 are read"):
        open_image(path)
    multiscales[0] = {"datasets": [{"path": "0"}], "axes": ["c", "y", "x"]}
    group.attrs["multiscales"] = multiscales
    with pytest.raises(DataError, match="version none"):
        open_image(path)


def test_plates_and_files_of_several_images_are_refused_and_of_one_read(tmp_path):
    root = tmp_path / "converted.zarr"
    group = zarr.open_group(root, mode="w", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    group.create_group("OME")
    make(root / "0", "0.4")
    assert np.array_equal(read_image(root).array, STACK)
    assert np.array_equal(read_image(root / "0").array, STACK)
    make(root / "1", "0.4")
    with pytest.raises(DataError, match=r"2 images \(0, 1\)"):
        open_image(root)
    plate = zarr.open_group(tmp_path / "plate.zarr", mode="w", zarr_format=2)
    plate.attrs["plate"] = {"wells": []}
    with pytest.raises(DataError, match="is a plate"):
        open_image(tmp_path / "plate.zarr")


def test_what_is_no_ome_zarr_is_refused(tmp_path):
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(DataError, match="is a folder, and no OME-Zarr"):
        open_image(tmp_path / "empty.zarr")
    zarr.create_array(tmp_path / "plain.zarr", shape=(4, 5), dtype="u1")
    with pytest.raises(DataError, match=r"plain\.zarr cannot be read as OME-Zarr"):
        open_image(tmp_path / "plain.zarr")
    zarr.open_group(tmp_path / "group.zarr", mode="w")
    with pytest.raises(DataError, match="0 OME-Zarr images"):
        open_image(tmp_path / "group.zarr")


def test_nothing_is_written_beside_the_input(tmp_path):
    path = make(tmp_path / "a.zarr", "0.4")
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    read_image(path)
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before
    shutil.rmtree(path)
