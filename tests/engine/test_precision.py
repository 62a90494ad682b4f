"""float16 and its scaler: on the CPU by the loop's own parts, on a GPU by the whole loop."""

import pytest
import torch
from engine_toy import Toy, assert_equal, plan, values
from lightning.fabric import Fabric
from lightning.fabric.plugins import MixedPrecision
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from torch.testing import assert_close

from segdistill.engine import read_log, train
from segdistill.engine.checkpoint import load_checkpoint
from segdistill.engine.record import keep
from segdistill.engine.run import begin
from segdistill.engine.step import Verdict, take_step

HAS_GPU = torch.cuda.is_available()


def half_run(folder, problem, notices, *, scale=2.0**16):
    """A run in float16 on the CPU, which ``train`` refuses; its scaler is the same as on a GPU."""
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    fabric = Fabric(
        accelerator="cpu", devices=1, plugins=[LightningEnvironment(), MixedPrecision("16-mixed", "cpu", scaler)]
    )
    fabric.launch()
    return begin(problem, plan(), folder, fabric, notice=notices.append)


def step(run):
    result = take_step(run, run.problem.batch(run.state.step, 0, 1), asked_to_stop=lambda: False)
    run.state.step += 1
    return result


def test_float16_computes_in_half_and_learns_what_float32_does(tmp_path, notices):
    problem = Toy()
    seen = []
    problem.module.body[0].register_forward_hook(lambda *arguments: seen.append(arguments[2].dtype))
    run = half_run(tmp_path, problem, notices)
    assert [step(run).verdict for _ in range(4)] == [Verdict.UPDATED] * 4
    assert set(seen) == {torch.float16}

    class Three(Toy):
        def batch(self, at, rank, world):
            if at == 4:
                raise InterruptedError
            return super().batch(at, rank, world)

    other = Three()
    with pytest.raises(InterruptedError):
        train(other, tmp_path / "32", plan(), notice=notices.append)
    assert_close(values(problem.module), values(other.module), rtol=0.02, atol=0.005)


def test_an_overflow_halves_the_scale_and_is_no_bad_step(tmp_path, notices):
    run = half_run(tmp_path, Toy(norm=True), notices, scale=2.0**26)
    before = values(run.state.module)
    verdicts = []
    while (result := step(run)).verdict is Verdict.RESCALED:
        verdicts.append(result.verdict)
        assert_equal(values(run.state.module), before)
        assert torch.isfinite(torch.tensor(result.loss))
    assert len(verdicts) >= 2
    assert result.verdict is Verdict.UPDATED
    assert run.state.scaler.get_scale() == 2.0 ** (26 - len(verdicts))


def test_a_gradient_that_no_scale_mends_is_bad_in_the_end(tmp_path, notices):
    class Root(Toy):
        def terms(self, module, batch, totals):
            terms = super().terms(module, batch, totals)
            return {name: term + (module.s[0] * 0).abs().sqrt() for name, term in terms.items()}

    run = half_run(tmp_path, Root(), notices, scale=4.0)
    before = values(run.state.module)
    assert [step(run).verdict for _ in range(4)] == [Verdict.RESCALED, Verdict.RESCALED, Verdict.BAD, Verdict.BAD]
    assert_equal(values(run.state.module), before)


def test_a_loss_that_is_not_finite_is_bad_and_leaves_the_scaler_alone(tmp_path, notices):
    problem = Toy()
    problem.images[:] = float("nan")
    run = half_run(tmp_path, problem, notices)
    assert step(run).verdict is Verdict.BAD
    assert run.state.scaler.get_scale() == 2.0**16


def test_the_scaler_is_kept_in_the_checkpoint(tmp_path, notices):
    run = half_run(tmp_path, Toy(), notices, scale=2.0**26)
    for _ in range(6):
        step(run)
    keep(run)
    again = half_run(tmp_path, Toy(), notices)
    assert again.state.scaler.state_dict() == run.state.scaler.state_dict()
    assert again.state.step == 6
    for _ in range(2):
        step(run)
        step(again)
    assert_equal(values(again.state.module), values(run.state.module))


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_GPU, reason="no NVIDIA GPU")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_gpu_learns_what_the_cpu_does(tmp_path, notices, precision):
    gpu = plan(device="cuda", precision=precision, micro_batch=2, log_every=1)
    train(Toy(), tmp_path / "gpu", gpu, notice=notices.append)
    train(Toy(), tmp_path / "cpu", plan(log_every=1), notice=notices.append)
    losses = [[line["loss"] for line in read_log(tmp_path / name) if "loss" in line] for name in ("gpu", "cpu")]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    content = load_checkpoint(tmp_path / "gpu", notice=pytest.fail)
    assert (content["scaler"] is None) == (precision != "16-mixed")
    problem = Toy()
    train(problem, tmp_path / "gpu", gpu, notice=notices.append)  # read back
    assert problem.module.s.device.type == "cuda"
