"""Exported graphs run by OpenVINO."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from segdistill.errors import DataError, MissingExtra
from segdistill.inference.exported_predictor import Compute


def load_openvino(path: Path, *, precision: str, threads: int | None = None) -> Compute:
    """Return an OpenVINO graph, ready on the CPU.

    Args:
        path: The .xml file; its weights lie beside it.
        precision: "f32" or "bf16": in which numbers what is not int8 is computed. It has to be said, because
            OpenVINO of itself takes bf16 on processors that have it.
        threads: How many compute. None leaves it to OpenVINO: one per core.

    Raises:
        MissingExtra: openvino is not installed.
        DataError: The files are no graph that it can run.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra("openvino", "export", "Running an OpenVINO model") from error
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        core = openvino.Core()
        request = core.compile_model(core.read_model(path), "CPU", settings).create_infer_request()
    except RuntimeError as error:
        reason = " ".join(str(error).split())  # it speaks in lines, the first of which says where in its code
        raise DataError(f"{path} cannot be run by OpenVINO: {reason}. Export the model again.") from error

    def compute(
        images: Float32[np.ndarray, "b c y x"], low: Float32[np.ndarray, " c"], high: Float32[np.ndarray, " c"]
    ) -> Float32[np.ndarray, "b o y x"]:
        request.infer({"image": images, "low": low, "high": high}, share_inputs=True)
        return request.get_output_tensor(0).data.copy()  # the next window is written to the same place

    return compute


load_fp32 = partial(load_openvino, precision="f32")
load_bf16 = partial(load_openvino, precision="bf16")


def has_bf16() -> bool:
    """Return whether this processor computes bf16 itself.

    Raises:
        MissingExtra: openvino is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra("openvino", "export", "OpenVINO in bf16") from error
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
