"""Distil large vision foundation models into small segmentation networks.

Public names, each imported when it is first used:

    Distill, Protocol            settings of the main job
    distill, demo                the main job, and the whole story on simulated tissue
    predict                      masks of one image, by a model
    load_model, Model, ModelCard models on disk
    load_teacher                 teachers by name
    read_dataset, read_image     images and labels on disk
    simulate_tissue              multiplexed tissue with its labels
"""

from segdistill.plugins import lazy_exports

__version__ = "0.1.0"

_WHERE = {
    "Distill": "settings",
    "Model": "networks",
    "ModelCard": "networks",
    "Protocol": "settings",
    "demo": "study",
    "distill": "study",
    "load_model": "networks",
    "load_teacher": "teachers",
    "predict": "inference",
    "read_dataset": "data",
    "read_image": "data",
    "simulate_tissue": "data.simulate",
}
__getattr__ = lazy_exports(__name__, _WHERE)


def __dir__() -> list[str]:
    """Return the public names."""
    return [*_WHERE, "__version__"]
