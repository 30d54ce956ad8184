"""The seed of everything random here: told at the end of a run, set by PROMISES_SEED to see the same again."""

from __future__ import annotations

import os

SEED = int(os.environ["PROMISES_SEED"])
