from dataclasses import dataclass, replace

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image as Pillow
from torch import nn

from segdistill.data.image import Image
from segdistill.data.normalisation import FullRangeRule
from segdistill.data.readers import BUILTIN
from segdistill.teachers import NO_HINT, Contract
from segdistill.testing import check_reader, check_student, check_teacher


class Student(nn.Module):
    def __init__(self, channels, outputs):
        super().__init__()
        self.convolution = nn.Conv2d(channels, outputs, 3, padding=1)

    def forward(self, image):
        return self.convolution(image)


class SwapsAxes(Student):
    def forward(self, image):
        return super().forward(image).mT


class SeesItsBatch(Student):
    def forward(self, image):
        return super().forward(image) - image.mean()


class Random(Student):
    def forward(self, image):
        return super().forward(image) + torch.rand(())


class HasAnUnusedWeight(Student):
    def __init__(self, channels, outputs):
        super().__init__(channels, outputs)
        self.unused = nn.Parameter(torch.zeros(1))


class HidesState(Student):
    def __init__(self, channels, outputs):
        super().__init__(channels, outputs)
        self.hidden = torch.rand(())

    def forward(self, image):
        return super().forward(image) + self.hidden


class WantsEvenSizes(Student):
    def forward(self, image):
        return super().forward(image)[..., : image.shape[2] // 2 * 2, : image.shape[3] // 2 * 2]


class Ignores(Student):
    def forward(self, image):
        return 0 * super().forward(image) + 1


class Overflows(Student):
    def forward(self, image):
        return super().forward(image) / 0


@pytest.mark.parametrize(
    ("student", "message"),
    [
        (SwapsAxes, "scores have shape"),
        (SeesItsBatch, "depend on the batch"),
        (Random, "other scores the second time"),
        (HasAnUnusedWeight, "no gradient reaches unused"),
        (HidesState, "loaded from another's state"),
        (WantsEvenSizes, r"scores have shape \(2, 3, 0, 0\)"),
        (Ignores, "two different images get the same scores"),
        (Overflows, "not finite"),
    ],
)
def test_a_student_that_breaks_a_promise_is_told_which(student, message):
    with pytest.raises(AssertionError, match=message):
        check_student(student)


def test_a_student_that_keeps_them_passes_and_leaves_the_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    check_student(Student)
    assert torch.equal(torch.rand(2), expected)


CONTRACT = Contract(
    name="plugin",
    channels=("nucleus", "membrane"),
    rule=FullRangeRule(),
    outputs=("cell", "cell.boundary"),
    weights_sha256="0",
    licence="MIT",
)


class Plain:  # takes what a teacher is given, whether it needs it or not
    contract = CONTRACT

    def maps(self, image, hint=NO_HINT):  # noqa: ARG002
        return image.copy()


class OnePlane(Plain):
    def maps(self, image, hint=NO_HINT):  # noqa: ARG002
        return image[:1]


class Double(Plain):
    def maps(self, image, hint=NO_HINT):  # noqa: ARG002
        return image.astype(float)


class Logits(Plain):
    def maps(self, image, hint=NO_HINT):  # noqa: ARG002
        return 3 * image


class NotANumber(Plain):
    def maps(self, image, hint=NO_HINT):  # noqa: ARG002
        return image / np.float32(np.nan)


class Scribbles(Plain):
    def maps(self, image, hint=NO_HINT):  # noqa: ARG002
        image *= 0.5
        return image.copy()


class Fickle(Plain):
    seen = 0

    def maps(self, image, hint=NO_HINT):  # noqa: ARG002
        self.seen += 1
        return image / np.float32(self.seen)


class PadsToEven(Plain):
    def maps(self, image, hint=NO_HINT):  # noqa: ARG002
        return np.pad(image, [(0, 0), *((0, side % 2) for side in image.shape[1:])])


class Voiceless(Plain):
    contract = replace(CONTRACT, tokens={"embedding": (8, 16)})


class ThinTokens(Voiceless):
    def tokens(self, image, names):  # noqa: ARG002
        return {name: np.zeros((5, 7, 4), np.float32) for name in names}


class WantsACase(Plain):
    contract = replace(CONTRACT, needs=("case",))


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (OnePlane, r"shape \(1, 40, 56\) instead of \(2, 40, 56\)"),
        (Double, "float64 instead of float32"),
        (Logits, "no probabilities"),
        (NotANumber, "not finite"),
        (Scribbles, "changes the image"),
        (Fickle, "other maps the second time"),
        (PadsToEven, "1 × 1 px have shape"),
        (Voiceless, "embedding.*no method tokens"),
        (ThinTokens, r"\(5, 7, 4\) instead of \(y, x, 16\)"),
        (WantsACase, "name one that it knows"),
    ],
)
def test_a_teacher_that_breaks_a_promise_is_told_which(teacher, message):
    with pytest.raises(AssertionError, match=message):
        check_teacher(teacher())


def test_a_teacher_that_keeps_them_passes():
    check_teacher(Plain())
    check_teacher(WantsACase(), case="any")


PIXELS = np.random.default_rng(0).integers(0, 255, (2, 20, 31), np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_our_own_readers_keep_their_promises(tmp_path, suffix):
    path, plane = tmp_path / f"a{suffix}", PIXELS[:1]
    if suffix == ".png":
        Pillow.fromarray(plane[0]).save(path)
    elif suffix == ".tif":
        tifffile.imwrite(path, plane[0])
    else:
        np.save(path, plane[0])
    check_reader(BUILTIN[suffix], path, plane)


@dataclass
class Opened:
    """An image in memory that reads as a file would."""

    image: Image
    fault: str
    dtype = PIXELS.dtype

    def __post_init__(self):
        self.channels, self.pixel_size, self.source = self.image.channels, None, self.image.source
        self.shape = self.image.array.shape

    def read(self, window=None):
        if window is None:
            return self.image.array[:, ::-1] if self.fault == "mirrored" else self.image.array
        if self.fault == "shifted":
            window = (slice(0, window[0].stop - window[0].start), window[1])
        return self.image.array[:, *window]

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.mark.parametrize(
    ("fault", "message"),
    [("mirrored", "not what the file holds"), ("shifted", "a window holds other"), ("lenient", "leaves the image")],
)
def test_a_reader_that_breaks_a_promise_is_told_which(tmp_path, fault, message):
    def read(path, *, channels, axes, fill_missing):
        return Opened(Image(PIXELS, ("a", "b"), None, str(path)), fault)

    with pytest.raises(AssertionError, match=message):
        check_reader(read, tmp_path / "a.raw", PIXELS)
