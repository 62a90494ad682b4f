"""Writing a graph for OpenVINO, in 32 bits and in 8."""

import io
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from segdistill.errors import MissingExtra
from segdistill.files import whole_file

_SUBSET = 128
"""Windows from which the ranges are taken, at most."""

Inputs = dict[str, np.ndarray]
"""What a graph is given, by name."""


def write_openvino(path: Path, onnx: Path) -> str:
    """Write an ONNX file as OpenVINO's .xml and .bin, in 32 bits, and return by what, in words.

    Args:
        path: The .xml file; the .bin is written beside it first.
        onnx: The file.

    Raises:
        MissingExtra: openvino is not installed.
    """
    openvino = _openvino()
    _save(openvino, openvino.Core().read_model(onnx), path)
    return f"OpenVINO {openvino.__version__.partition('-')[0]}, float32, from the ONNX graph"


def write_int8(path: Path, onnx: Path, windows: Sequence[Inputs], *, attention: bool) -> str:
    """Write an ONNX file as OpenVINO's .xml and .bin with weights and activations in 8 bits.

    Note [Not in 8 bits]: the normalisation, as raw pixels have 16 bits and more, and the sigmoid.

    Args:
        path: The .xml file; the .bin is written beside it first.
        onnx: The file.
        windows: Inputs that are typical, from which the ranges of activations are taken.
        attention: Whether the network has attention, whose products are left more exact.

    Raises:
        MissingExtra: openvino or nncf is not installed.
    """
    openvino = _openvino()
    model = openvino.Core().read_model(onnx)
    with _silent_nncf():
        try:
            import nncf
        except ImportError as error:
            raise MissingExtra("nncf", "export", "Writing a model in 8 bits") from error
        nncf.set_log_level(logging.ERROR)
        chosen = windows[:: max(1, -(-len(windows) // _SUBSET))]
        quantised = nncf.quantize(
            model,
            nncf.Dataset(chosen, lambda inputs: inputs),
            subset_size=len(chosen),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER if attention else None,
            ignored_scope=nncf.IgnoredScope(names=_outside(model), validate=False),
        )
    _save(openvino, quantised, path)
    return f"NNCF {nncf.__version__}, int8, ranges from {len(chosen)} windows, from the ONNX graph"


def _outside(model: Any) -> list[str]:
    """Return the names of the operations before the first convolution, and of the last, which is the sigmoid."""
    names = []
    for operation in model.get_ordered_ops():
        if operation.get_type_name() in {"Convolution", "GroupConvolution", "MatMul"}:
            break
        if operation.get_type_name() not in {"Parameter", "Constant"}:
            names.append(operation.get_friendly_name())
    sigmoids = [each.get_friendly_name() for each in model.get_ordered_ops() if each.get_type_name() == "Sigmoid"]
    return [*names, *sigmoids[-1:]]


def _save(openvino: Any, model: Any, path: Path) -> None:
    """Write a model whole: OpenVINO wants names that end in .xml, so it writes elsewhere first."""
    with tempfile.TemporaryDirectory() as scratch:
        written = Path(scratch) / "model.xml"
        openvino.serialize(model, str(written))  # unlike save_model, this keeps 32 bits
        for suffix in (".bin", ".xml"):
            with whole_file(path.with_suffix(suffix)) as partial:
                shutil.copyfile(written.with_suffix(suffix), partial)


def _openvino() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra("openvino", "export", "Writing an OpenVINO model") from error
    return openvino


@contextmanager
def _silent_nncf() -> Iterator[None]:
    """Keep NNCF from reporting what is done here to its makers, and from talking while it does it.

    It sends such reports unless, when it is imported, this variable says that it runs in a test.
    """
    before = os.environ.get("NNCF_CI")
    os.environ["NNCF_CI"] = "1"
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.filterwarnings("ignore", module="nncf|openvino|torch")
            yield
    finally:
        if before is None:
            del os.environ["NNCF_CI"]
        else:
            os.environ["NNCF_CI"] = before
