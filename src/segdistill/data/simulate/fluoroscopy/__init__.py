"""A simulated swallow under X-rays: twelve structures that move, overlap and let each other shine through.

A stand-in for clips of patients, which nobody may pass on: plausible enough to be hard, no model of anyone's anatomy.
"""

from segdistill.data.simulate.fluoroscopy.clip import Clip, simulate_clip
from segdistill.data.simulate.fluoroscopy.settings import STRUCTURES, FluoroscopySettings
from segdistill.data.simulate.fluoroscopy.writing import write_fluoroscopy

__all__ = ["STRUCTURES", "Clip", "FluoroscopySettings", "simulate_clip", "write_fluoroscopy"]
