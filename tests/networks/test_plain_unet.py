import torch

from segdistill.networks import build_student


def test_what_a_pixel_sees_ends_at_a_fixed_distance():
    torch.manual_seed(0)
    student = build_student("unet-tiny", channels=1, outputs=1).eval()
    image = torch.rand(1, 1, 160, 192)
    changed = image.clone()
    changed[..., 80, 0] += 1.0
    difference = (student(changed) - student(image)).abs()[0, 0]
    assert difference[80, 0] > 0
    # Reach: levels at stride 1, 2, 4, 8 with two 3 × 3 convolutions each, on the way down and (but for
    # the last) up: 2·(2 + 4 + 8) + 16 = 44 px, and at most 2·(1 + 2 + 4) = 14 px where grids are coarse.
    assert difference[:, 59:].max() == 0


def test_it_learns_a_simple_task():
    torch.manual_seed(0)
    student = build_student("unet-tiny", channels=1, outputs=1)
    optimiser = torch.optim.AdamW(student.parameters(), lr=3e-3)
    losses = []
    for _ in range(80):
        image = torch.rand(4, 1, 16, 24)
        optimiser.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(student(image), (image > 0.5).float())
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) / 5 < 0.6 * losses[0]
