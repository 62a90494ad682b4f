import numpy as np
import pytest

from segdistill.data.image import Image
from segdistill.errors import ConfigError, DataError, EnvironmentFault
from segdistill.targets import Key, create_store, image_key, new_header, open_store
from segdistill.targets import shard as shard_module
from segdistill.targets.shard import ALIGNMENT, slice_folder


def maps(seed, shape=(2, 5, 7)):
    return np.random.default_rng(seed).random(shape).astype(np.float16)


def put(store, *seeds, part=(0, 1)):
    with store.writing(part) as writer:
        for seed in seeds:
            writer.put(Key(f"image{seed}"), {"maps": maps(seed)}, {"case": f"case{seed}"})


def files(store, part=(0, 1)):
    folder = slice_folder(store.folder, part)
    return folder / "0000.bin", folder / "0000.jsonl"


def test_what_was_put_is_got_by_another_process(store):
    put(store, 1, 2)
    again = open_store(store.folder)
    assert len(again) == 2
    got = again.get(("image1", 0))
    assert list(got) == ["maps"]
    assert np.array_equal(got["maps"], maps(1))
    assert np.array_equal(again.maps(Key("image2"))["cell.boundary"], maps(2)[1])
    assert again.parameters(Key("image2")) == {"case": "case2"}
    assert again.described() == {"case1": Key("image1"), "case2": Key("image2")}


def test_arrays_are_aligned_read_only_views_of_the_file(store):
    with store.writing() as writer:
        writer.put(Key("a"), {"maps": maps(0), "x/values": np.int8([[1, 2, 3]]), "none": np.zeros((0, 3))}, {})
    got = store.get(Key("a"))
    assert {name: (array.shape, array.dtype.str) for name, array in got.items()} == {
        "maps": ((2, 5, 7), "<f2"),
        "x/values": ((1, 3), "|i1"),
        "none": ((0, 3), "<f8"),
    }
    assert not got["maps"].flags.writeable
    assert isinstance(got["maps"].base, np.memmap) or isinstance(got["maps"], np.memmap)
    assert got["x/values"].ctypes.data % ALIGNMENT == 0


def test_a_missing_record_is_told(store):
    assert not store.has(Key("a"))
    with pytest.raises(DataError, match=r"missing.*run the same|missing\. Run the same"):
        store.get(Key("a"))


def test_the_newest_record_of_a_key_counts(store):
    put(store, 1)
    with store.writing() as writer:
        writer.put(Key("image1"), {"maps": maps(9)}, {"case": "again"})
    assert store.parameters(Key("image1")) == {"case": "again"}
    assert np.array_equal(open_store(store.folder).get(Key("image1"))["maps"], maps(9))


def test_a_flipped_byte_is_noticed(store):
    put(store, 1, 2)
    data, _ = files(store)
    content = bytearray(data.read_bytes())
    content[20] ^= 1
    data.write_bytes(content)
    again = open_store(store.folder)
    assert (again.has(Key("image1")), again.has(Key("image2"))) == (False, True)
    with pytest.raises(DataError, match=r"damaged"):
        again.get(Key("image1"))


def test_a_damaged_copy_leaves_an_older_sound_one(store):
    put(store, 1)
    put(store, 1, part=(1, 2))
    data, _ = files(store, (1, 2))
    data.write_bytes(bytes(len(data.read_bytes())))
    assert np.array_equal(open_store(store.folder).get(Key("image1"))["maps"], maps(1))


@pytest.mark.parametrize("torn", ["data", "index"])
def test_files_cut_at_any_byte_keep_whole_records_and_take_new_ones(tmp_path, teacher, torn):
    whole = create_store(tmp_path / "whole", new_header(teacher.contract))
    put(whole, 1, 2)
    data, index = (path.read_bytes() for path in files(whole))
    ends = {"data": [140, 332], "index": [len(line) for line in _prefixes(index)]}
    length = len(data if torn == "data" else index)
    assert ends["data"][1] == len(data)  # 2 x 5 x 7 halves are 140 bytes; the second begins at 192
    for cut in range(length + 1):
        store = create_store(tmp_path / f"{torn}{cut}", new_header(teacher.contract))
        folder = slice_folder(store.folder, (0, 1))
        folder.mkdir()
        (folder / "0000.bin").write_bytes(data[:cut] if torn == "data" else data)
        (folder / "0000.jsonl").write_bytes(index[:cut] if torn == "index" else index)
        store.refresh()
        survived = [store.has(Key(f"image{seed}")) for seed in (1, 2)]
        assert survived == [cut >= end for end in ends[torn]]
        if cut % 7 == 0 or cut > length - 3:
            put(store, *(seed for seed, there in zip((1, 2), survived, strict=True) if not there), 3)
            again = open_store(store.folder)
            for seed in (1, 2, 3):
                assert np.array_equal(again.get(Key(f"image{seed}"))["maps"], maps(seed))


def _prefixes(index):
    first = index.index(b"\n")
    return index[: first + 1], index  # a line is whole with its newline


def test_a_flipped_byte_in_the_index_costs_that_record_only(store):
    put(store, 1, 2, 3)
    _, index = files(store)
    content = bytearray(index.read_bytes())
    content[content.index(b"\n") + 30] ^= 2
    index.write_bytes(content)
    put(store, 4)
    again = open_store(store.folder)
    assert [again.has(Key(f"image{seed}")) for seed in (1, 2, 3, 4)] == [True, False, True, True]
    assert np.array_equal(again.get(Key("image3"))["maps"], maps(3))


def test_slices_have_files_of_their_own(store):
    put(store, 1, part=(0, 2))
    with store.writing((0, 2)), store.writing((1, 2)) as writer:
        writer.put(Key("image2"), {"maps": maps(2)}, {"case": "case2"})
    again = open_store(store.folder)
    assert set(again.described()) == {"case1", "case2"}
    assert {path.name for path in store.folder.iterdir()} == {"header.json", "slice-0-of-2", "slice-1-of-2"}


def test_two_writers_of_one_slice_are_refused(store):
    with store.writing(), pytest.raises(EnvironmentFault, match=r"Another run is using"), store.writing():
        pass


def test_no_such_slice(store):
    with pytest.raises(ConfigError, match=r"no slice 2 of 2"), store.writing((2, 2)):
        pass


def test_a_full_shard_is_followed_by_another(store, monkeypatch):
    monkeypatch.setattr(shard_module, "LIMIT", 200)
    put(store, 1, 2, 3, 4)
    put(store, 5)
    again = open_store(store.folder)
    assert sorted(path.name for path in slice_folder(store.folder, (0, 1)).glob("*.bin")) == [
        "0000.bin",
        "0001.bin",
        "0002.bin",
    ]
    assert all(np.array_equal(again.get(Key(f"image{seed}"))["maps"], maps(seed)) for seed in (1, 2, 3, 4, 5))


def test_the_key_of_an_image_is_what_it_shows():
    array = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    image = Image(array, ("a", "b"), 0.5, "here.tif")
    same = Image(np.asfortranarray(array).astype(">u2"), ("a", "b"), 0.5, "there.tif")
    others = [
        Image(array + 1, ("a", "b"), 0.5, "here.tif"),
        Image(array.astype(np.int32), ("a", "b"), 0.5, "here.tif"),
        Image(array.reshape(2, 4, 3), ("a", "b"), 0.5, "here.tif"),
        Image(array, ("b", "a"), 0.5, "here.tif"),
        Image(array, ("a", "b"), 0.25, "here.tif"),
    ]
    assert image_key(same) == image_key(image)
    assert len({image_key(other) for other in others} | {image_key(image)}) == 6


def test_a_store_of_an_old_version_still_loads():
    from pathlib import Path

    old = open_store(Path(__file__).parents[1] / "old_files" / "targets_1")
    (key,) = old.described().values()
    assert old.header.outputs == ("cell", "cell.boundary")
    assert old.maps(key)["cell"].tolist() == [[0.0, 0.25, 0.5], [0.75, 1.0, 0.125]]
    assert old.parameters(key)["case"] == "field"
