"""Writing a graph for OpenVINO, in 32 bits and in 8."""

import io
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32

from segdistill.errors import MissingExtra
from segdistill.files import whole_file

_SUBSET = 128
"""Windows from which the ranges are taken, at most."""

_JUDGED = 32
"""Windows on which 8 bits are compared with 32, at most."""

_RANKED, _MOST_RESTORED = 8, 12
"""Windows by which operations are ranked, and operations that get 32 bits back, at most: each costs a comparison."""

_MOST_LOST = 0.003
"""Of Dice with the masks of 32 bits, on those windows. What loses more gets operations back in 32 bits, one by one."""

Inputs = dict[str, np.ndarray]
"""What a graph is given, by name."""

Judge = Callable[[Any, Iterable[int]], tuple[float, list[float]]]
"""From a compiled graph and places of windows to how good it is, 0…1, over all of them and on each."""


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


def write_int8(
    path: Path, onnx: Path, windows: Sequence[Inputs], *, cuts: Float32[np.ndarray, " o"], attention: bool
) -> str:
    """Write an ONNX file as OpenVINO's .xml and .bin with weights and activations in 8 bits.

    Note [Not in 8 bits]: the normalisation, as raw pixels have 16 bits and more, and the sigmoid. And, where masks
    would suffer, whatever operations it takes: NNCF finds those that 8 bits harm most.

    Args:
        path: The .xml file; the .bin is written beside it first.
        onnx: The file.
        windows: Inputs that are typical, from which the ranges of activations are taken.
        cuts: Probability from which on a pixel belongs to the mask, by output.
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
        judged = chosen[:: -(-len(chosen) // _JUDGED)]
        quantised = nncf.quantize_with_accuracy_control(
            model,
            nncf.Dataset(chosen, lambda inputs: inputs),
            nncf.Dataset(range(len(judged)), lambda place: place),
            _agreement(openvino.compile_model(model, "CPU"), judged, cuts),
            max_drop=_MOST_LOST,
            advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                max_num_iterations=_MOST_RESTORED, ranking_subset_size=_RANKED
            ),
            subset_size=len(chosen),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER if attention else None,
            ignored_scope=nncf.IgnoredScope(names=_outside(model), validate=False),
        )
    _save(openvino, quantised, path)
    return f"NNCF {nncf.__version__}, int8 where masks allow it, ranges from {len(chosen)} windows, from the ONNX graph"


def _agreement(exact: Any, windows: Sequence[Inputs], cuts: Float32[np.ndarray, " o"]) -> Judge:
    """Return what NNCF asks: the Dice of a graph's masks with those of the exact one, the mean over outputs.

    Pixels of all windows are counted together; beside it stands the same of each window by itself.
    """
    wanted = [_masks(exact, inputs, cuts) for inputs in windows]

    def judge(graph: Any, places: Iterable[int]) -> tuple[float, list[float]]:
        counts = []
        for place in places:
            found, true = _masks(graph, windows[place], cuts), wanted[place]
            counts.append([(found & true).sum(axis=(1, 2)), found.sum(axis=(1, 2)) + true.sum(axis=(1, 2))])
        each = np.array(counts, float)
        return _dice(each.sum(axis=0)), [_dice(own) for own in each]

    return judge


def _masks(graph: Any, inputs: Inputs, cuts: Float32[np.ndarray, " o"]) -> Bool[np.ndarray, "o y x"]:
    return graph(inputs)[0][0] >= cuts[:, None, None]


def _dice(counts: Float[np.ndarray, "2 o"]) -> float:
    shared, said = counts
    return float(np.where(said > 0, 2 * shared / np.maximum(said, 1), 1.0).mean())


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
