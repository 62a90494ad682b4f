"""Simulated multiplexed tissue: two channels, every cell and every nucleus known."""

from segdistill.data.simulate.folder import field_seed
from segdistill.data.simulate.settings import TissueSettings
from segdistill.data.simulate.tissue import Tissue, simulate_tissue
from segdistill.data.simulate.writing import write_tissue

__all__ = ["Tissue", "TissueSettings", "field_seed", "simulate_tissue", "write_tissue"]
