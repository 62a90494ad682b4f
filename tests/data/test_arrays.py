import io
import pickle
import zipfile

import numpy as np
import pytest

from segdistill.data.readers import open_image, read_image
from segdistill.errors import DataError

STACK = np.random.default_rng(0).integers(0, 4000, (3, 12, 15), dtype=np.uint16)
WINDOW = (slice(3, 10), slice(6, 15))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [">u2", "u1", "u4", "i8", "f2", "f4", "f8", "bool"])
def test_npy(tmp_path, dtype, order):
    values = np.asarray(STACK.astype(dtype), order=order)
    np.save(tmp_path / "a.npy", values)
    with open_image(tmp_path / "a.npy", axes="cyx") as image:
        expected = values * 255 if dtype == "bool" else values
        assert image.dtype.isnative
        assert np.array_equal(image.read(), expected)
        assert np.array_equal(image.read(WINDOW), expected[:, *WINDOW])
        assert image.read(WINDOW).flags.writeable
        assert image.read(WINDOW).flags.c_contiguous


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_of_one_array(tmp_path, save):
    save(tmp_path / "a.NPZ", image=STACK)
    (tmp_path / "a.NPZ.npz").rename(tmp_path / "b.NPZ")
    with open_image(tmp_path / "b.NPZ", axes="cyx", channels=["a", "b", "c"]) as image:
        assert image.channels == ("a", "b", "c")
        image.read(WINDOW)[:] = 0
        assert np.array_equal(image.read(), STACK)


def test_one_plane_is_one_channel_and_more_are_ambiguous(tmp_path):
    np.save(tmp_path / "a.npy", STACK[0])
    image = read_image(tmp_path / "a.npy")
    assert (image.array.shape, image.channels) == ((1, 12, 15), ("channel0",))
    np.save(tmp_path / "b.npy", STACK)
    with pytest.raises(DataError, match=r"b\.npy has the shape \(3, 12, 15\).*--axes"):
        open_image(tmp_path / "b.npy")


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (7, 13)])
def test_thin_images(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.ones(shape))
    assert read_image(tmp_path / "a.npy").array.shape == (1, *shape)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_images_without_pixels_are_refused(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.ones(shape))
    with pytest.raises(DataError, match=r"no pixels: its shape is \(1, \d, \d\)"):
        open_image(tmp_path / "a.npy")


class Payload:
    """Runs a program when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (exec, (f"open({str(self.path)!r}, 'w').write('ran')",))


def test_pickles_are_refused_and_do_not_run(tmp_path):
    harmful = np.array([Payload(tmp_path / "ran")], dtype=object)
    np.save(tmp_path / "a_seg.npy", harmful, allow_pickle=True)
    np.savez(tmp_path / "a.npz", masks=harmful)
    for name in ("a_seg.npy", "a.npz"):
        with pytest.raises(DataError, match=r"pickled Python objects.*allow_pickle=False"):
            read_image(tmp_path / name)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(DataError, match="cannot be read as npy"):
        read_image(tmp_path / "b.npy")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("values", [STACK[0].astype("c8"), np.zeros((2, 3), "U4"), np.zeros((2, 3), "M8[s]")])
def test_what_is_no_number_is_refused(tmp_path, values):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(DataError, match="must be integers or floating-point numbers"):
        open_image(tmp_path / "a.npy")


def header(shape):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<u2", "fortran_order": False, "shape": shape})
    return content.getvalue()


@pytest.mark.parametrize("shape", [(1_000_000, 3_500_000), (100, 200), (2**40, 2**40)])
def test_a_forged_header_is_refused_with_its_claim_and_the_size(tmp_path, shape):
    (tmp_path / "a.npy").write_bytes(header(shape) + bytes(100))
    claim = f"{shape[0] * shape[1] * 2:,}"
    with pytest.raises(DataError, match=f"claims {claim} bytes of pixels, but the file holds 100 bytes"):
        open_image(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("image.npy", header(shape) + bytes(100))
    with pytest.raises(DataError, match=f"claims {claim} bytes"):
        open_image(tmp_path / "a.npz")


def test_a_zip_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("segdistill.data.readers.faults._BOMB_BYTES", 2**16)
    monkeypatch.setattr("segdistill.data.readers.faults._BOMB_RATIO", 100)
    np.savez_compressed(tmp_path / "a.npz", np.zeros((1000, 2000), np.uint8))
    with pytest.raises(DataError, match=r"claims 2,000,000 bytes of pixels, but the file holds [\d,]+ bytes"):
        open_image(tmp_path / "a.npz")


def test_several_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", image=STACK[0], mask=STACK[1])
    with pytest.raises(DataError, match=r"2 arrays \(image, mask\)"):
        open_image(tmp_path / "a.npz")


@pytest.mark.parametrize("kept", [0.0, 0.05, 0.5, 0.95])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_cut_file_is_refused(tmp_path, suffix, kept):
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, STACK[0])
    else:
        np.savez_compressed(path, STACK[0])
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DataError, match=f"a.{suffix}"):
        read_image(path)


def test_overwritten_bytes_of_npz_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, STACK[0])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.npz cannot be read"):
        read_image(path)
