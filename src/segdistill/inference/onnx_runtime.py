"""Exported graphs run by ONNX Runtime."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from segdistill.errors import DataError, MissingExtra
from segdistill.inference.exported_predictor import Compute


def load_onnx(path: Path, *, threads: int | None = None) -> Compute:
    """Return an ONNX graph, ready on the CPU.

    Args:
        path: The file.
        threads: How many compute. None leaves it to ONNX Runtime: one per core.

    Raises:
        MissingExtra: onnxruntime is not installed.
        DataError: The file is no graph that it can run.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime", "export", "Running an ONNX file") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base but Exception
        raise DataError(f"{path} cannot be run by ONNX Runtime: {error}. Export the model again.") from error

    def compute(
        images: Float32[np.ndarray, "b c y x"], low: Float32[np.ndarray, " c"], high: Float32[np.ndarray, " c"]
    ) -> Float32[np.ndarray, "b o y x"]:
        return np.asarray(session.run(None, {"image": images, "low": low, "high": high})[0])

    return compute
