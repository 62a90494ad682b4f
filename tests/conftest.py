import logging
import os
import signal
import time
from collections import Counter
from threading import Event, Thread

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

SECONDARY_CAPTURE, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.2.1"


def _item(**elements):
    item = Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return item


@pytest.fixture
def item():
    """Return an item of a DICOM sequence."""
    return _item


@pytest.fixture
def dicom():
    """Write a DICOM file of one frame or several (f y x), grey or of three samples (y x s), and return what it says."""

    def write(path, array, light="MONOCHROME2", *, kind=SECONDARY_CAPTURE, syntax=ExplicitVRLittleEndian, **elements):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = Dataset()
        file.file_meta = FileMetaDataset()
        file.file_meta.TransferSyntaxUID = syntax
        file.SOPClassUID, file.Modality = kind, "OT"
        file.SOPInstanceUID, file.SeriesInstanceUID, file.StudyInstanceUID = (generate_uid() for _ in range(3))
        samples = 1 if light.startswith(("MONO", "PAL")) else 3
        shape = array.shape[:-1] if samples == 3 else array.shape
        if len(shape) == 3:
            file.NumberOfFrames = shape[0]
        if samples == 3:
            file.PlanarConfiguration = 0
        file.Rows, file.Columns = shape[-2:]
        file.SamplesPerPixel, file.PhotometricInterpretation = samples, light
        bits = 8 * array.dtype.itemsize
        file.BitsAllocated, file.BitsStored, file.HighBit = bits, bits, bits - 1
        file.PixelRepresentation = int(array.dtype.kind == "i")
        data = np.ascontiguousarray(array).tobytes()
        file.PixelData = data + b"\0" * (len(data) % 2)
        for name, value in elements.items():
            if value is None:
                delattr(file, name)
            else:
                setattr(file, name, value)
        file.save_as(path, enforce_file_format=True)
        return file

    return write


@pytest.fixture
def enhanced(dicom):
    """Write a DICOM file of several frames that says how they lie in a patient."""

    def write(path, array, *, spacing=(0.5, 0.5), frames=None, **elements):
        shared = _item(
            PixelMeasuresSequence=[_item(PixelSpacing=list(spacing), SliceThickness=2)],
            PlaneOrientationSequence=[_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        )
        own = [
            _item(PlanePositionSequence=[_item(ImagePositionPatient=[0, 0, 2 * place])], **more)
            for place, more in enumerate(frames or [{}] * len(array))
        ]
        return dicom(
            path,
            array,
            kind=ENHANCED_CT,
            FrameOfReferenceUID=generate_uid(),
            SharedFunctionalGroupsSequence=[shared],
            PerFrameFunctionalGroupsSequence=own,
            **elements,
        )

    return write


@pytest.fixture(scope="module")
def cluster():
    """A Dask scheduler and two workers of one thread, in processes of their own."""
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
    ) as started:
        yield started


@pytest.fixture
def kill_a_busy_worker(cluster):
    """Begin to wait for a worker that has something to do, and kill it with SIGKILL.

    Yields what ends that waiting and returns the keys of what the worker had; none, where none had anything.
    """
    killed, over = [], Event()

    def kill():
        while not over.is_set():
            for worker in list(cluster.scheduler.workers.values()):
                held = [task.key for task in list(worker.processing)]
                if held:
                    nanny = next(each for each in cluster.workers.values() if each.worker_address == worker.address)
                    os.kill(nanny.pid, signal.SIGKILL)
                    killed.extend(held)
                    return
            time.sleep(0.002)

    assassin = Thread(target=kill, daemon=True)

    def end():
        over.set()
        assassin.join(timeout=60)
        return killed

    assassin.start()
    yield end
    end()


@pytest.fixture
def given(cluster):
    """How often each task was given to a worker, by its key."""
    from distributed import SchedulerPlugin

    times = Counter()

    class Given(SchedulerPlugin):
        def transition(self, key, start, finish, *args, **kwargs):  # noqa: ARG002
            if finish == "processing":
                times[key] += 1

    cluster.scheduler.add_plugin(Given(), name="given")
    yield times
    cluster.scheduler.remove_plugin("given")
