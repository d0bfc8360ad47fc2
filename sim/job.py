"""What a bench is asked to do, passed to the simulator's process as files of one folder."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.catalog import Design, find
from pe.config import Config, parameters

FOLDER = "RTLOOM_JOB"
"""Environment variable that names the folder."""

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Job:
    """A design, its settings, and what its bench shall do with them.

    Attributes
    ----------
    design
        Name in the catalogue.
    settings
        Parameters of its config, as `Config.from_settings` takes them.
    seed
        Of everything random in the bench.
    options
        What else the bench takes.
    """

    design: str
    settings: dict[str, Any]
    seed: int = 1
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, design: Design, config: Config, seed: int = 1, **options: Any) -> "Job":
        """Describe a job on a given config."""
        settings = {path: value for path, _, value in parameters(config)}
        return cls(design.name, settings, seed, options)

    def save(self, folder: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write the job and its arrays for `load`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "job.json").write_text(json.dumps(asdict(self)))
        np.savez(folder / "job.npz", **arrays)  # type: ignore[arg-type]

    def component(self) -> Any:
        """Build the design's component, for its geometry and its formulas."""
        design = find(self.design)
        return design.component(design.config.from_settings(self.settings))


def load() -> tuple[Job, Arrays]:
    """Return the job of this simulator process."""
    folder = Path(os.environ[FOLDER])
    job = Job(**json.loads((folder / "job.json").read_text()))
    with np.load(folder / "job.npz") as arrays:
        return job, dict(arrays)


def save_result(result: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write what the bench found, for `read_result`."""
    folder = Path(os.environ[FOLDER])
    (folder / "result.json").write_text(json.dumps(result))
    np.savez(folder / "result.npz", **arrays)  # type: ignore[arg-type]


def read_result(folder: Path) -> tuple[dict[str, Any], Arrays]:
    """Read what a bench wrote."""
    with np.load(folder / "result.npz") as arrays:
        return json.loads((folder / "result.json").read_text()), dict(arrays)
