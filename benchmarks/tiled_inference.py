"""Probability maps of a large image, by windows: this package beside MONAI's ``sliding_window_inference``.

From pixels in memory to probabilities in memory, the same trained student, image and number of threads. MONAI is used
at its default overlap, at the better of windows of 256 and 512 px and of one and four windows at once; this package at
the better of windows of 512 and 1024 px. MONAI is also given the same 8-bit network as this package runs, so that what
the tiling brings and what the runtime brings are told apart. Rounds of all sides follow each other, and the least time
of each counts. Beside them, what the machine allows: the 8-bit network on windows that have no border at all.

Wanted: end to end, 8 bits against MONAI with PyTorch, 10 times (MobileNetV3) and 9 times (ResNet18); 2.5 times in 32
bits; 1.4 times with the same 8-bit network; a Dice of at least 0.995 between 8 bits and 32.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import tifffile
import torch

from common import keep
from segdistill.data.image import Image
from segdistill.data.normalisation import PercentileRule
from segdistill.data.simulate import simulate_tissue
from segdistill.evaluation import dice
from segdistill.export import export
from segdistill.inference.backends import open_backend
from segdistill.inference.eager import torch_predictor
from segdistill.inference.export_card import read_export
from segdistill.inference.exported_predictor import ExportedPredictor
from segdistill.inference.halo import measure_fast_halo, measure_reach
from segdistill.inference.predictor import Predictor
from segdistill.inference.windows import View, assembled, run_windows, view_of
from segdistill.networks import Model, load_model, save_model
from segdistill.settings import Export
from students import FIELD, TILE, trained

WANTED = {"unet-mobilenetv3": 10.0, "unet-resnet18": 9.0, "fp32": 2.5, "same 8-bit network": 1.4, "dice": 0.995}
FIELDS = 8
"""The student learns from as many, and the image is made of as many others."""

FP32, INT8 = "OpenVINO fp32", "OpenVINO int8"
RATIOS = (
    ("MONAI with PyTorch / segdistill with 8 bits", ("MONAI", "PyTorch"), ("segdistill", INT8, "fast halo")),
    ("MONAI with PyTorch / segdistill in 32 bits", ("MONAI", "PyTorch"), ("segdistill", FP32, "fast halo")),
    ("MONAI / segdistill, both with PyTorch", ("MONAI", "PyTorch"), ("segdistill", "PyTorch", "fast halo")),
    (
        "MONAI / segdistill with the same 8-bit network",
        ("MONAI", "the same 8-bit network"),
        ("segdistill", INT8, "fast halo"),
    ),
    (
        "MONAI with PyTorch / segdistill with 8 bits and the exact halo",
        ("MONAI", "PyTorch"),
        ("segdistill", INT8, "exact halo"),
    ),
    ("segdistill with 8 bits / the network alone", ("segdistill", INT8, "fast halo"), ("limit",)),
)
"""What is compared: words, then what the names of the slower and of the quicker side begin with and hold."""

Maps = np.ndarray
Side = Callable[[], Maps]


def mosaic(side: int) -> Image:
    """Return an image of fields that no student learnt from, set beside each other."""
    fields = [simulate_tissue(1000 + seed, FIELD).image[:1] for seed in range(FIELDS)]
    number = -(-side // TILE)
    rows = [
        np.concatenate([fields[(3 * row + column) % FIELDS] for column in range(number)], axis=2)
        for row in range(number)
    ]
    return Image(np.concatenate(rows, axis=1)[:, :side, :side], ("channel0",), None, "simulated tissue")


def write_calibration(folder: Path) -> Path:
    """Write what the student learnt from, for the ranges of the 8-bit network."""
    folder.mkdir()
    for seed in range(FIELDS):
        tifffile.imwrite(folder / f"{seed}.tif", simulate_tissue(seed, FIELD).image[0])
    return folder


def seen(image: Image) -> View:
    """Return the image as the students see it."""
    return view_of(image, image.channels, PercentileRule())


def ours(predictor: Predictor, view: View, *, tile: int, halo: int, outputs: int) -> Maps:
    """Return the maps by this package."""
    run = predictor.run(lambda _: None)
    parts = run_windows(run, view, tile=tile, halo=halo, stride=predictor.stride, batch=1)
    return assembled(parts, outputs=outputs, shape=view.shape)


def monai(network: Callable[[torch.Tensor], torch.Tensor], view: View, *, tile: int, batch: int) -> Maps:
    """Return the maps by MONAI, all else at its defaults."""
    from monai.inferers import sliding_window_inference

    pixels = torch.from_numpy(view.read((slice(0, view.shape[0]), slice(0, view.shape[1]))))[None]
    with torch.inference_mode():
        return sliding_window_inference(pixels, (tile, tile), batch, network)[0].numpy()


def sides(folder: Path, view: View, *, threads: int) -> Iterator[tuple[str, Side]]:
    """Yield everything that is timed, by name; without 8 bits, where an export with them was not kept."""
    model, exported = load_model(folder / "model"), folder / "exported"
    network, outputs = model.module.eval(), len(model.card.outputs)
    card = read_export(exported)
    predictors: dict[str, Predictor] = {"PyTorch": torch_predictor(model, "cpu", notice=lambda _: None)}
    for name, format_name in {FP32: "openvino-fp32", INT8: "openvino-int8"}.items():
        if format_name in card.formats:
            predictors[name] = open_backend(exported, card, format_name, threads=threads)
    networks = {"PyTorch": lambda pixels: torch.sigmoid(network(pixels))}
    if INT8 in predictors:
        networks["the same 8-bit network"] = as_torch(predictors[INT8])
    for tile, batch in product((256, 512), (1, 4)):
        for name, one in networks.items():
            yield (
                f"MONAI, {name}, {tile} px, {batch} at once",
                partial(monai, one, view, tile=tile, batch=batch),
            )
    halos = {kind: halo for kind, halo in model.card.halo.items() if kind in {"fast", "exact"} and halo is not None}
    for tile in (512, 1024):
        for kind, halo in halos.items():
            if 8 * halo > 3 * tile:
                continue
            for name, predictor in predictors.items():
                yield (
                    f"segdistill, {name}, {kind} halo of {halo} px, {tile} px",
                    partial(ours, predictor, view, tile=tile, halo=halo, outputs=outputs),
                )
        best = predictors.get(INT8, predictors[FP32])
        yield (
            f"limit: the network without borders, {tile} px",
            partial(ours, best, view, tile=tile, halo=0, outputs=outputs),
        )


def as_torch(predictor: ExportedPredictor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return an exported network as what MONAI calls."""
    low, high = np.zeros(1, np.float32), np.ones(1, np.float32)
    return lambda pixels: torch.from_numpy(predictor.compute(pixels.numpy(), low, high))


def with_halos(folder: Path, view: View) -> None:
    """Measure, on an image, how much border the windows of a student need, and keep it in its card, as a run does."""
    model = load_model(folder)
    outputs = len(model.card.outputs)
    fast, _ = measure_fast_halo(model.module, [view], outputs=outputs)
    halo = {"exact": measure_reach(model.module, channels=1), "fast": fast}
    save_model(folder, Model(model.module, model.card.model_copy(update={"halo": halo})))


def measure(name: str, folder: Path, *, side: int, steps: int, rounds: int, threads: int) -> dict[str, object]:
    """Train a student, export it, and time every side."""
    trained(folder / "model", name, steps=steps, fields=FIELDS, crop=256, batch=4, rate=1e-3, nuclei=True)
    with_halos(folder / "model", seen(mosaic(1024)))
    formats = ("openvino-fp32", "openvino-int8")
    calibration = write_calibration(folder / "calibration")
    done = export(
        Export(model=folder / "model", out=folder / "exported", formats=formats, calibration=(calibration,)),
        notice=print,
    )
    return timed(folder, seen(mosaic(side)), rounds=rounds, threads=threads) | {"not kept": dict(done.failed)}


def timed(folder: Path, view: View, *, rounds: int, threads: int) -> dict[str, object]:
    """Return the least time of every side, megapixels per second, ratios, and how far masks agree."""
    every = dict(sides(folder, view, threads=threads))
    best, maps = dict.fromkeys(every, float("inf")), dict[str, Maps]()
    for _ in range(rounds):
        for name, side in every.items():
            began = time.perf_counter()
            maps[name] = side()
            best[name] = min(best[name], time.perf_counter() - began)
            print(f"{name}: {best[name]:.2f} s", flush=True)
    megapixels = view.shape[0] * view.shape[1] / 1e6
    found: dict[str, object] = {
        f"{name}, megapixels per second": round(megapixels / seconds, 2) for name, seconds in best.items()
    }
    for words, slow, quick in RATIOS:
        pair = [quickest(best, *each) for each in (slow, quick)]
        if None not in pair:
            found[f"{words}, time"] = round(best[pair[0]] / best[pair[1]], 2)
    plain = maps[quickest(best, "segdistill", FP32)]
    found["foreground, share of the pixels"] = round(float((plain[0] > 0.5).mean()), 3)
    for words, name in {
        "Dice of 8 and 32 bits": quickest(best, "segdistill", INT8),
        "Dice of segdistill and MONAI, both 32 bits": quickest(best, "MONAI", "PyTorch"),
    }.items():
        if name is not None:
            found[words] = least_dice(maps[name], plain)
    return found


def quickest(times: Mapping[str, float], beginning: str, *words: str) -> str | None:
    """Return the quickest of the sides whose names begin so and hold these words; None where there is none."""
    names = [name for name in times if name.startswith(beginning) and all(word in name for word in words)]
    return min(names, key=lambda name: times[name], default=None)


def least_dice(one: Maps, other: Maps) -> float:
    """Return the worst map's agreement, both cut at one half."""
    return round(min(dice(a > 0.5, b > 0.5) for a, b in zip(one, other, strict=True)), 5)


def main() -> None:
    """Measure and keep, and fail where less is reached than was wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", nargs="+", default=["unet-mobilenetv3", "unet-resnet18"])
    parser.add_argument("--side", type=int, default=4096, help="of the image, pixels")
    parser.add_argument("--steps", type=int, default=150, help="of training")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for name in given.students:
        with tempfile.TemporaryDirectory() as scratch:
            found = measure(
                name, Path(scratch), side=given.side, steps=given.steps, rounds=given.rounds, threads=given.threads
            )
        facts = {"student": name, "image, px": [given.side, given.side], "wanted": WANTED}
        keep(f"tiled_inference_{name.removeprefix('unet-')}", facts | found)


if __name__ == "__main__":
    main()
