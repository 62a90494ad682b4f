import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "experiments"), str(HERE)]  # scripts there import each other by name
