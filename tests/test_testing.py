import pytest
import torch
from torch import nn

from segdistill.testing import check_student


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
