import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.data.readers.layout import find_layout, unstated
from segdistill.data.readers.naming import name_channels
from segdistill.data.readers.pixel_size import micrometres, optical, square
from segdistill.errors import ConfigError, DataError

WINDOW = (slice(1, 4), slice(2, 7))


@given(order=st.permutations("tczyx"), channels=st.integers(1, 3))
def test_any_order_of_axes_gives_the_same_image(order, channels):
    image = np.arange(channels * 5 * 8).reshape(channels, 5, 8)
    stored = image[None, :, None].transpose(["tczyx".index(letter) for letter in order])
    layout = find_layout(stored.shape, "".join(order), None, source="test")
    assert layout.size == (5, 8)
    assert layout.count == channels
    window = layout.arrange(stored[layout.index(WINDOW)])
    assert np.array_equal(window, image[:, 1:4, 2:7])


@pytest.mark.parametrize("shape", [(3, 20, 30), (20, 30, 3), (5, 3, 20, 30), (1, 5, 3, 20, 30), (2, 2)])
def test_axes_that_nothing_states_are_refused_with_the_shape(shape):
    if len(shape) == 2:
        assert find_layout(shape, unstated(shape), None, source="a.npy").count == 1
        return
    with pytest.raises(DataError, match=r"a\.npy has the shape .*--axes"):
        find_layout(shape, unstated(shape), None, source="a.npy")


@pytest.mark.parametrize("shape", [(1, 20, 30), (20, 30, 1), (1, 20, 1, 30)])
def test_axes_of_length_one_are_dropped(shape):
    layout = find_layout(shape, unstated(shape), None, source="a.npy")
    assert (layout.count, layout.size) == (1, (20, 30))


def test_the_user_states_axes_where_the_file_does_not():
    assert find_layout((3, 20, 30), "qqq", "cyx", source="a").size == (20, 30)
    assert find_layout((20, 30, 3), "qqq", "yxc", source="a").channel == 2
    assert find_layout((1, 3, 20, 30), "qqqq", "cyx", source="a").channel == 1  # the axis of length 1 is left out
    assert find_layout((1, 3, 20, 30), "qqqq", "ZCYX", source="a").channel == 1


def test_the_user_may_rename_a_stack_to_channels_but_not_move_y_and_x():
    assert find_layout((3, 20, 30), "zyx", "cyx", source="a").count == 3
    with pytest.raises(DataError, match="puts y and x elsewhere"):
        find_layout((20, 30, 3), "yxs", "cyx", source="a.tif")


@pytest.mark.parametrize("axes", ["cy", "cyxx", "cyxq", "", "yyx"])
def test_what_is_no_list_of_axes_is_refused(axes):
    with pytest.raises(ConfigError, match="--axes"):
        find_layout((3, 20, 30), "qqq", axes, source="a")


def test_axes_of_another_number_are_refused():
    with pytest.raises(DataError, match=r"2 axes .*names 3"):
        find_layout((20, 30), "yx", "cyx", source="a")


@pytest.mark.parametrize(("axes", "name"), [("zyx", "depth"), ("tyx", "time"), ("tczyx", "depth")])
def test_depth_and_time_are_refused_with_a_hint(axes, name):
    shape = (4, 2, 3, 20, 30)[-len(axes) :] if len(axes) == 5 else (4, 20, 30)
    with pytest.raises(DataError, match=f"{name}.*project the stack"):
        find_layout(shape, axes, None, source="a")


def test_channels_of_colours_are_refused():
    with pytest.raises(DataError, match="several channels of several colour samples"):
        find_layout((2, 20, 30, 3), "cyxs", None, source="a")


def test_names_of_channels():
    assert name_channels(1, source="a") == ("channel0",)
    assert name_channels(2, source="a") == ("c0", "c1")
    assert name_channels(2, found=["DAPI", ""], source="a") == ("DAPI", "c1")
    assert name_channels(2, found=["DAPI"], source="a") == ("c0", "c1")  # names of something else
    assert name_channels(2, found=["DAPI", "x"], given=["n", "m"], source="a") == ("n", "m")
    with pytest.raises(DataError, match=r"2 channels .*DAPI, x.* names 1: n"):
        name_channels(2, found=["DAPI", "x"], given=["n"], source="a")
    with pytest.raises(DataError, match="several channels called DAPI"):
        name_channels(2, found=["DAPI", "DAPI"], source="a")
    with pytest.raises(DataError, match="several channels called n"):
        name_channels(2, given=["n", "n"], source="a")


@pytest.mark.parametrize(
    ("length", "unit", "expected"),
    [
        (650.0, "nm", 0.65),
        (0.5, "µm", 0.5),
        (0.5, "μm", 0.5),  # Greek mu
        (0.5, "um", 0.5),
        (0.5, "micrometer", 0.5),
        (0.5, "Micrometre", 0.5),
        (0.0005, "mm", 0.5),
        (5000.0, "Å", 0.5),
        (1.0, "inch", 25_400.0),
        (1.0, "pixel", None),
        (1.0, None, None),
        (0.0, "µm", None),
        (-1.0, "µm", None),
        (float("nan"), "µm", None),
        (None, "µm", None),
    ],
)
def test_lengths_in_micrometres(length, unit, expected):
    found = micrometres(length, unit)
    assert found is None if expected is None else found == pytest.approx(expected)


def test_pixels_are_square_to_one_percent():
    assert square(0.5, 0.5049, source="a") == pytest.approx(0.50245)
    assert square(None, 0.5, source="a") is None
    with pytest.raises(DataError, match=r"0\.5 µm along y and 0\.51 µm along x"):
        square(0.5, 0.51, source="a")


def test_the_resolution_of_a_screen_is_no_pixel_size():
    assert optical(25400 / 72) is None
    assert optical(25400 / 300) is None
    assert optical(0.5) == 0.5
