"""Clips: every frame by its exact number, wherever one comes from; damage named; films saved as TIFF and DICOM."""

from fractions import Fraction

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from segdistill.data import open_image, read_dataset, read_image, read_labels, read_sample, split_cases
from segdistill.data.clips import frame_rate, is_clip
from segdistill.data.pseudonyms import pseudonymous
from segdistill.data.readers import count_label_planes, count_planes
from segdistill.data.readers.clip_index import read_index
from segdistill.data.readers.planes import plane_path
from segdistill.data.survey import survey
from segdistill.errors import DataError

av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'segdistill[video]'")

SIZE, COUNT, RATE = (37, 53), 22, Fraction(30000, 1001)
FRAMES = np.random.default_rng(0).integers(0, 255, (COUNT, *SIZE)).astype(np.uint8)
STEPS = np.arange(COUNT, dtype=np.uint8)[:, None, None] * 10 + np.zeros((1, *SIZE), np.uint8)
"""Frames that tell their number by their brightness, also after a compression with loss."""


def encode(path, frames=STEPS, *, codec="mpeg4", stored="yuv420p", key_every=8, between=0, rate=RATE):
    """Write a clip; ``between`` is the number of frames that are stored after one that is shown after them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], stored
        stream.bit_rate = 8_000_000
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = key_every, between
        if codec == "ffv1":
            stream.options = {"level": "3", "slicecrc": "1"}
        for frame in frames:
            given = {2: "gray" if frame.dtype == np.uint8 else "gray16le", 3: "rgb24"}[frame.ndim]
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=given)))
        file.mux(stream.encode(None))
    return path


def damage(path, number):
    """Write noise over the middle of a frame as it is stored, counted from 0."""
    with av.open(str(path)) as file:
        packets = [packet for packet in file.demux(file.streams.video[0]) if packet.size]
        place, size = packets[number].pos, packets[number].size
    data = bytearray(path.read_bytes())
    span = slice(place + size // 4, place + 3 * size // 4)
    data[span] = np.random.default_rng(1).integers(0, 256, span.stop - span.start, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    return path


def frame(path, number):
    return read_image(plane_path(path, number + 1)).array


def test_grey_frames_without_loss_are_what_was_written(tmp_path):
    clip = encode(tmp_path / "a.avi", FRAMES, codec="ffv1", stored="gray")
    assert (count_planes(clip), frame_rate(clip), is_clip(clip)) == (COUNT, RATE, True)
    with open_image(plane_path(clip, 3)) as image:
        assert (image.shape, image.channels, image.pixel_size) == ((1, *SIZE), ("channel0",), None)
        np.testing.assert_array_equal(image.read((slice(5, 9), slice(20, 40)))[0], FRAMES[2, 5:9, 20:40])
    for number in range(COUNT):
        np.testing.assert_array_equal(frame(clip, number)[0], FRAMES[number])


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("a.mp4", {}),
        ("a.mp4", {"between": 2}),
        ("a.avi", {"between": 2}),
        ("a.mov", {"key_every": 100}),
        ("a.avi", {"codec": "mjpeg", "stored": "yuvj444p"}),
    ],
    ids=["mp4", "mp4-reordered", "avi-reordered", "one-key", "mjpeg"],
)
def test_a_frame_is_the_same_from_wherever_one_comes(tmp_path, name, settings):
    clip = encode(tmp_path / name, **settings)
    in_order = [frame(clip, number) for number in range(COUNT)]
    found = [round(float(picture.mean())) for picture in in_order]
    np.testing.assert_allclose(found, np.arange(COUNT) * 10, atol=4)
    assert in_order[0].shape == (3, *SIZE)
    for number in np.random.default_rng(2).permutation(COUNT).tolist():
        np.testing.assert_array_equal(frame(clip, number), in_order[number])


def test_forward_each_frame_is_decoded_once(tmp_path, monkeypatch):
    from segdistill.data.readers.clip_decoder import _Decoder

    decoded = []
    plain = _Decoder._decoded

    def counting(self):
        for number, picture in plain(self):
            decoded.append(number)
            yield number, picture

    monkeypatch.setattr(_Decoder, "_decoded", counting)
    clip = encode(tmp_path / "a.avi", FRAMES, codec="ffv1", stored="gray")
    for number in (0, 1, 2, 5, 5, 6, 21):
        frame(clip, number)
    assert decoded == list(range(COUNT))
    decoded.clear()
    frame(clip, 19)
    assert decoded == [16, 17, 18, 19]  # every eighth frame builds on no other


def test_colours_and_deep_greys(tmp_path):
    red = np.zeros((3, *SIZE, 3), np.uint8)
    red[..., 0] = 200
    image = read_image(plane_path(encode(tmp_path / "a.avi", red, codec="mjpeg", stored="yuvj444p"), 2))
    assert image.channels == ("red", "green", "blue")
    np.testing.assert_allclose(image.array.mean(axis=(1, 2)), [200, 0, 0], atol=4)
    deep = FRAMES[:3].astype(np.uint16) * 200
    clip = encode(tmp_path / "b.avi", deep, codec="ffv1", stored="gray16le")
    np.testing.assert_array_equal(frame(clip, 1)[0], deep[1])


def test_a_clip_of_one_frame_is_an_image(tmp_path):
    clip = encode(tmp_path / "a.avi", FRAMES[:1], codec="ffv1", stored="gray")
    np.testing.assert_array_equal(read_image(clip).array[0], FRAMES[0])


def test_a_file_that_changes_is_read_anew(tmp_path):
    clip = encode(tmp_path / "a.avi", FRAMES, codec="ffv1", stored="gray")
    frame(clip, 2)
    encode(clip, FRAMES[::-1][:9], codec="ffv1", stored="gray")
    assert count_planes(clip) == 9
    np.testing.assert_array_equal(frame(clip, 2)[0], FRAMES[::-1][2])


def test_a_damaged_frame_is_named_and_the_others_are_there(tmp_path):
    clip = damage(encode(tmp_path / "a.avi", FRAMES, codec="mjpeg", stored="yuvj444p"), 10)
    for number in set(range(COUNT)) - {10}:
        assert frame(clip, number).shape == (3, *SIZE)
    for _ in range(2):
        with pytest.raises(DataError, match=r"Frame 11 of .*a\.avi is damaged\..*do without"):
            frame(clip, 10)


def test_after_a_damaged_last_frame_the_first_ones_can_be_read(tmp_path):
    clip = damage(encode(tmp_path / "a.avi", FRAMES, codec="ffv1", stored="gray", key_every=1), COUNT - 1)
    with pytest.raises(DataError, match=r"Frame 22 of .* is damaged"):
        frame(clip, COUNT - 1)
    for number in (3, 0, COUNT - 2):
        np.testing.assert_array_equal(frame(clip, number)[0], FRAMES[number])


@pytest.mark.parametrize("order", [range(COUNT), reversed(range(COUNT)), [12, 0, *range(1, COUNT)]])
def test_what_builds_on_a_damaged_frame_is_named_too(tmp_path, order):
    # Every eighth frame builds on no other: of 8 to 15 those from 10 on are lost, in whichever order they are read.
    clip = damage(encode(tmp_path / "a.avi", FRAMES, codec="ffv1", stored="gray"), 10)
    lost = {}
    for number in order:
        try:
            np.testing.assert_array_equal(frame(clip, number)[0], FRAMES[number])
        except DataError as error:
            lost[number] = str(error)
    assert sorted(lost) == list(range(10, 16))
    assert "Frame 14 of" in lost[13]
    assert "builds on frame 11, which is damaged" in lost[13]


def test_frames_shown_before_a_key_frame_and_stored_after_it_build_on_what_was_before(tmp_path):
    index = read_index(encode(tmp_path / "a.mp4", between=2, key_every=6))
    stored = [index.order.index(number) for number in range(COUNT)]
    key = index.keys[1]
    over = [number for number in range(key) if stored[number] > stored[key]]
    lost = set(index.resting_on(index.order[index.order.index(key) - 1]))
    assert set(over) <= lost
    assert not set(range(key, COUNT)) & lost


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.6])
def test_a_clip_that_is_cut_short_is_refused(tmp_path, name, share):
    clip = encode(tmp_path / name, np.roll(FRAMES, 1, axis=1))
    data = clip.read_bytes()
    clip.write_bytes(data[: int(share * len(data))])
    assert count_planes(clip) == 1
    with pytest.raises(
        DataError, match=rf"{name} (is cut short: it holds \d+ of the 22 frames|cannot be read as video)"
    ):
        read_image(clip)


def test_files_that_are_no_clips_are_refused(tmp_path):
    (tmp_path / "a.mp4").write_text("This is a text. " * 100)
    with pytest.raises(DataError, match=r"a\.mp4 cannot be read as video: .*copy or export it again"):
        read_image(tmp_path / "a.mp4")
    (tmp_path / "a.mkv").touch()
    with pytest.raises(DataError, match=r"ffmpeg -i a\.mkv -c copy a\.mp4"):
        read_image(tmp_path / "a.mkv")
    with pytest.raises(DataError, match=r"is compressed with loss"):
        read_labels(plane_path(encode(tmp_path / "b.mp4"), 2))


def test_sound_alone_and_see_through_frames_are_refused(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.rate = 8000
        file.mux(stream.encode(sound))
        file.mux(stream.encode(None))
    with pytest.raises(DataError, match=r"a\.mp4 holds no videos"):
        read_image(tmp_path / "a.mp4")
    colours = np.zeros((2, *SIZE, 3), np.uint8)
    with pytest.raises(DataError, match=r"see-through \(yuva444p\)"):
        read_image(plane_path(encode(tmp_path / "b.avi", colours, codec="ffv1", stored="yuva444p"), 1))


def test_pixels_that_are_not_square_are_refused(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        file.mux(stream.encode(av.VideoFrame.from_ndarray(STEPS[0], format="gray")))
        file.mux(stream.encode(None))
    with pytest.raises(DataError, match=r"not square.*scale=iw\*sar:ih"):
        read_image(tmp_path / "a.mp4")


def test_a_frame_that_is_not_there_is_refused(tmp_path):
    clip = encode(tmp_path / "a.mp4")
    with pytest.raises(DataError, match=r"has 22 frames, but 0023\.plane names number 23"):
        open_image(plane_path(clip, 23))
    with pytest.raises(DataError, match=r"holds 22 frames, but one image is one plane.*0001\.plane"):
        open_image(clip)


def masks(count=COUNT):
    labels = (FRAMES[:count] > 200).astype(np.uint8)
    labels[:, 0, 0] = 1
    return labels


def test_a_folder_of_clips_is_frames_grouped_by_clip(tmp_path):
    for name in "abcde":
        encode(tmp_path / "images" / f"{name}.avi", np.roll(FRAMES, ord(name), axis=2), codec="ffv1", stored="gray")
    (tmp_path / "labels").mkdir()
    tifffile.imwrite(tmp_path / "labels" / "a.tif", masks())  # no word of which axis is which
    tifffile.imwrite(tmp_path / "labels" / "b.tif", masks(), imagej=True, metadata={"axes": "TYX"})
    dataset = read_dataset(tmp_path, label_kind="binary")
    assert [case.name for case in dataset.cases[:2]] == ["a/0001", "a/0002"]
    assert len(dataset.cases) == 5 * COUNT
    assert {case.group for case in dataset.cases} == set("abcde")
    assert any("5 files hold 110 planes" in note for note in dataset.notes)
    for place in (0, COUNT, COUNT + 7):
        sample = read_sample(dataset.cases[place], dataset)
        number = place % COUNT
        np.testing.assert_array_equal(sample.image.array[0], np.roll(FRAMES, ord("ab"[place // COUNT]), axis=2)[number])
        np.testing.assert_array_equal(sample.planes[0], masks()[number])
    parts = split_cases(dataset.cases, fractions=(0.6, 0.2, 0.2), seed=0)
    assert all(len(part) % COUNT == 0 for part in parts.values())
    hidden = pseudonymous(dataset.cases)
    assert len({case.name for case in hidden}) == 5 * COUNT
    assert len({case.group for case in hidden}) == 5


def test_labels_of_single_frames_lie_in_a_folder_called_like_the_clip(tmp_path):
    encode(tmp_path / "images" / "a.avi", FRAMES, codec="ffv1", stored="gray")
    (tmp_path / "labels" / "a").mkdir(parents=True)
    for number in (3, 17):
        Pillow.fromarray(masks()[number - 1]).save(tmp_path / "labels" / "a" / f"{number:04d}.png")
    dataset = read_dataset(tmp_path, label_kind="binary", structure="vessel")
    assert [case.name for case in dataset.cases if case.labels] == ["a/0003", "a/0017"]
    assert [each.name for each in dataset.label_sets] == ["vessel"]
    assert any(f"{COUNT - 2} of {COUNT} images have no label" in note for note in dataset.notes)
    sample = read_sample(dataset.cases[16], dataset)
    np.testing.assert_array_equal(sample.planes[0], masks()[16])


def test_labels_of_another_number_of_frames_are_refused(tmp_path):
    encode(tmp_path / "images" / "a.mp4")
    (tmp_path / "labels").mkdir()
    tifffile.imwrite(tmp_path / "labels" / "a.tif", masks(COUNT - 1))
    with pytest.raises(DataError, match=r"a\.tif has 21 planes, but its image .*a\.mp4 has 22"):
        read_dataset(tmp_path)


def test_a_survey_names_damaged_frames_and_broken_clips(tmp_path):
    damage(encode(tmp_path / "images" / "a.avi", FRAMES, codec="mjpeg", stored="yuvj444p"), 10)
    broken = encode(tmp_path / "images" / "b.avi", FRAMES)
    broken.write_bytes(broken.read_bytes()[:20_000])
    found = survey(read_dataset(tmp_path))
    assert len(found.images) == COUNT - 1
    assert sorted(fault.split(".avi")[0].rpartition("/")[2] for fault in found.faults) == ["a", "b"]
    assert any("Frame 11 of" in fault for fault in found.faults)


FILM = np.random.default_rng(3).integers(0, 60000, (5, 2, 20, 31)).astype(np.uint16)  # t c y x


@pytest.mark.parametrize("kind", ["ome", "imagej", "tiled"])
def test_films_saved_as_tiff_are_frames(tmp_path, kind):
    path = tmp_path / "images" / "a.tif"
    path.parent.mkdir()
    how = {
        "ome": {"ome": True, "metadata": {"axes": "TCYX", "Channel": {"Name": ["n", "m"]}}},
        "imagej": {"imagej": True, "metadata": {"axes": "TCYX", "finterval": 0.25}},
        "tiled": {"ome": True, "tile": (16, 16), "compression": "zlib", "metadata": {"axes": "TCYX"}},
    }[kind]
    tifffile.imwrite(path, FILM, photometric="minisblack", **how)
    dataset = read_dataset(tmp_path)
    assert [(case.name, case.group) for case in dataset.cases] == [(f"a/000{n}", "a") for n in range(1, 6)]
    for number, case in enumerate(dataset.cases):
        image = read_image(case.image)
        np.testing.assert_array_equal(image.array, FILM[number])
    assert image.channels == (("n", "m") if kind == "ome" else ("c0", "c1"))
    assert frame_rate(path) == (Fraction(4) if kind == "imagej" else None)
    assert is_clip(path)


def test_frames_of_colour_and_frames_that_the_user_states(tmp_path):
    film = FILM[:, :1].transpose(0, 2, 3, 1).repeat(3, axis=3).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", film, photometric="rgb", ome=True, metadata={"axes": "TYXS"})
    image = read_image(plane_path(tmp_path / "a.tif", 4))
    assert image.channels == ("red", "green", "blue")
    np.testing.assert_array_equal(image.array, film[3].transpose(2, 0, 1))
    tifffile.imwrite(tmp_path / "b.tif", FILM[:, 0])
    assert (count_planes(tmp_path / "b.tif"), count_planes(tmp_path / "b.tif", "tyx")) == (1, 5)
    assert count_label_planes(tmp_path / "b.tif") == 5
    with pytest.raises(DataError, match=r"nothing says which axis is which.*--axes"):
        read_image(tmp_path / "b.tif")
    np.testing.assert_array_equal(read_image(plane_path(tmp_path / "b.tif", 2), axes="tyx").array[0], FILM[1, 0])


def test_axes_that_the_user_states_divide_a_data_set(tmp_path):
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images" / "a.tif", FILM[:, 0], ome=True, metadata={"axes": "ZYX"})
    dataset = read_dataset(tmp_path, axes="tyx")
    assert len(dataset.cases) == 5
    np.testing.assert_array_equal(read_sample(dataset.cases[4], dataset).image.array[0], FILM[4, 0])


def test_a_film_cut_short_is_refused_and_so_is_one_of_depth_and_time(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, FILM, photometric="minisblack", imagej=True, metadata={"axes": "TCYX"})
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(DataError, match=r"cut short|hold"):
        read_image(plane_path(path, 1))
    tifffile.imwrite(tmp_path / "b.ome.tif", FILM, photometric="minisblack", metadata={"axes": "TZYX"})
    assert count_planes(tmp_path / "b.ome.tif") == 5
    with pytest.raises(DataError, match=r"2 depth.*project the stack"):
        read_image(plane_path(tmp_path / "b.ome.tif", 1))


def test_a_dicom_file_that_says_its_rate_is_a_clip_and_a_volume_is_not(tmp_path, dicom, enhanced):
    frames = FILM[:, 0]
    dicom(tmp_path / "images" / "cine.dcm", frames, FrameTime="40")
    dicom(tmp_path / "images" / "shown.dcm", frames[:, ::-1], CineRate="12")
    enhanced(tmp_path / "images" / "volume.dcm", frames[:, :, ::-1])
    assert [is_clip(tmp_path / "images" / f"{name}.dcm") for name in ("cine", "shown", "volume")] == [True, True, False]
    assert frame_rate(tmp_path / "images" / "cine.dcm") == 25
    assert frame_rate(plane_path(tmp_path / "images" / "shown.dcm", 2)) == 12
    dataset = read_dataset(tmp_path)
    assert [case.group for case in dataset.cases] == ["cine"] * 5 + ["shown"] * 5 + ["volume"] * 5
    np.testing.assert_array_equal(read_image(dataset.cases[3].image).array[0], frames[3])
    tifffile.imwrite(tmp_path / "still.tif", frames[0])
    assert not is_clip(tmp_path / "still.tif")
