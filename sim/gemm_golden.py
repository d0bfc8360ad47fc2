"""The golden product of an engine, with the widths of its config, and the cycles that it takes."""

import importlib
from typing import Any

import numpy as np

from golden.gemm import matmul
from golden.group import group_matmul
from hw.catalog import Design
from hw.engine import EngineConfig
from hw.grouped import GroupedConfig
from sim.packing import Matrix


def golden_product(config: EngineConfig, a: Matrix, b: Matrix, *groups: Matrix) -> Matrix:
    """Return what an engine of this config shall compute.

    Parameters
    ----------
    groups
        Scales and zero points, of a config that has groups.
    """
    if isinstance(config, GroupedConfig):
        scales, zeros = groups
        return group_matmul(
            a,
            b,
            scales,
            zeros,
            group=config.group,
            mode=config.mode,
            width_scale=config.width_scale,
            width_a=config.width_a,
            width_b=config.width_b,
            width_zero=config.width_zero,
            signed_a=config.signed_a,
            signed_b=config.signed_b,
            signed_zero=config.signed_zero,
            format_b=config.format_b,
        )
    return matmul(
        a,
        b,
        width_a=config.width_a,
        width_b=config.width_b,
        width_acc=config.width_acc,
        signed_a=config.signed_a,
        signed_b=config.signed_b,
        format_a=config.format_a,
        format_b=config.format_b,
    )


def golden_cycles(design: Design, component: Any, a: Matrix, b: Matrix) -> int:
    """Return the cycles that an engine or a core shall take for a product.

    Parameters
    ----------
    component
        The hardware of the design.
    """
    if not design.golden_cycles:
        return int(component.cycles(a.shape[0], a.shape[1], b.shape[1]))
    module, _, function = design.golden_cycles.partition(":")
    model = getattr(importlib.import_module(module), function)
    return int(model(a, b, **component.golden_arguments))


def check_product(c: Matrix, expected: Matrix, what: str) -> None:
    """Hold a product to the golden one.

    Raises
    ------
    AssertionError
        Counting the wrong elements and showing the first.
    """
    wrong = np.argwhere(c != expected)
    if len(wrong):
        row, col = wrong[0]
        raise AssertionError(
            f"{what}: {len(wrong)} of {c.size} elements differ; C[{row}, {col}] is "
            f"{c[row, col]}, the golden model says {expected[row, col]}"
        )
