"""The command line: ``rtloom COMMAND ...``.

Exit status: 0 done, 1 a mismatch or a failing simulation, 2 bad input, 3 a tool is missing.
"""

import argparse
import importlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from hw.yosys import YosysError
from pe.config import nearest
from scripts.ppa.errors import FlowError
from scripts.status import Status
from sim.results import SimulationError
from sim.tools import MissingTool

LARGEST_SIZE = 1 << 16
LARGEST_STALLS = 90


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are a `ValueError` with one line."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(re.sub(r"^argument (?:-\w/)?-*", "", message))


def _integer(minimum: int, maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer in {minimum}..{maximum}")
        return value

    return parse


def _power_of_two(minimum: int, maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = _integer(minimum, maximum)(text)
        if value & (value - 1):
            raise argparse.ArgumentTypeError(f"{text} is not a power of two")
        return value

    return parse


_size = _integer(1, LARGEST_SIZE)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _add_seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seed", type=_integer(0, 2**31 - 1), default=1, help="of everything random (default 1)"
    )


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-s",
        "--set",
        dest="settings",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="set a parameter; may be repeated",
    )


def _add_design(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("design", metavar="DESIGN", nargs="?", help="a design or a preset")
    _add_settings(parser)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--preset", metavar="NAME", help="start from a named preset")
    source.add_argument(
        "--config", metavar="FILE.toml", type=Path, help="start from a file of parameters"
    )


def _add_sizes(parser: argparse.ArgumentParser, default: int | None) -> None:
    of = {"m": "rows of A and C", "k": "columns of A, rows of B", "n": "columns of B and C"}
    for name, what in of.items():
        text = what if default is None else f"{what} (default {default})"
        parser.add_argument(
            f"--{name}", type=_size, metavar=name.upper(), default=default, help=text
        )


def _list(parser: argparse.ArgumentParser) -> None:
    _add_json(parser)


def _describe(parser: argparse.ArgumentParser) -> None:
    _add_design(parser)
    _add_json(parser)


def _emit(parser: argparse.ArgumentParser) -> None:
    _add_design(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=Path,
        default=Path("build", "verilog"),
        help="folder of NAME.v and NAME.json (default build/verilog)",
    )
    _add_json(parser)


def _sim(parser: argparse.ArgumentParser) -> None:
    _add_design(parser)
    _add_sizes(parser, None)
    for name in ("a", "b"):
        parser.add_argument(
            f"--{name}",
            metavar="FILE.npy",
            type=Path,
            help=f"matrix {name.upper()} (default random)",
        )
    for name in ("scales", "zeros"):
        parser.add_argument(
            f"--{name}",
            metavar="FILE.npy",
            type=Path,
            help=f"{name} of the groups of B, [groups, n], of a grouped engine (default random)",
        )
    parser.add_argument("--c", metavar="FILE.npy", type=Path, help="write the product there")
    parser.add_argument(
        "--program",
        metavar="FILE",
        type=Path,
        help="assembly of a processor (default one MLGRU and one GLU block)",
    )
    _add_seed(parser)
    parser.add_argument(
        "--stalls",
        metavar="PERCENT",
        type=_integer(0, LARGEST_STALLS),
        default=0,
        help=f"share of cycles in which a stream pauses, 0 to {LARGEST_STALLS} (default 0)",
    )
    parser.add_argument("--waves", action="store_true", help="write a waveform file")
    parser.add_argument(
        "--trace",
        metavar="FILE",
        type=Path,
        help="requests of a PIM channel (default four tiles, 64 reads)",
    )
    _add_json(parser)


def _compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("designs", metavar="DESIGN", nargs="+", help="designs or presets")
    _add_settings(parser)
    _add_sizes(parser, None)
    _add_seed(parser)
    _add_json(parser)


def _pim_random(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--commands",
        metavar="COUNT",
        type=_integer(1, 10**9),
        default=100_000,
        help="commands to check at least (default 100000)",
    )
    _add_seed(parser)
    _add_json(parser)


def _pim_table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--size", metavar="NAME", action="append", help="S4, S16 or F32; may be repeated"
    )
    _add_seed(parser)
    _add_json(parser)


def _pim_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch",
        metavar="REQUESTS",
        type=_integer(2, 1 << 14),
        nargs="+",
        default=[64, 128, 256],
        help="requests at a time (default 64 128 256)",
    )
    parser.add_argument(
        "--tokens",
        metavar="MEAN",
        type=_integer(1, 1 << 14),
        default=228,
        help="mean of their lognormal lengths (default 228)",
    )
    parser.add_argument(
        "--channels", type=_integer(1, 1024), default=32, help="of the memory (default 32)"
    )
    parser.add_argument(
        "--heads", type=_integer(1, 1024), default=32, help="of the model (default 32)"
    )
    parser.add_argument(
        "--blocks", type=_integer(1, 1024), default=32, help="of the model (default 32)"
    )
    parser.add_argument(
        "--devices", type=_integer(1, 64), default=4, help="that share it (default 4)"
    )
    _add_seed(parser)
    _add_json(parser)


def _bench_sim(parser: argparse.ArgumentParser) -> None:
    _add_settings(parser)
    _add_sizes(parser, 512)
    _add_seed(parser)
    _add_json(parser)


def _side_by_side(parser: argparse.ArgumentParser) -> None:
    _add_settings(parser)
    _add_sizes(parser, 64)
    parser.add_argument("--heads", type=_size, default=4, help="of the attention (default 4)")
    parser.add_argument(
        "--head-size", type=_size, default=64, help="elements of a query (default 64)"
    )
    parser.add_argument("--tokens", type=_size, default=128, help="keys of a head (default 128)")
    _add_seed(parser)
    _add_json(parser)


def _cross(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--n",
        metavar="SIZE",
        type=_power_of_two(8, 1 << 16),
        default=1024,
        help="coefficients, a power of two (default 1024)",
    )
    parser.add_argument(
        "--modulus",
        type=_integer(97, (1 << 32) - 1),
        default=268369921,
        help="a prime that is 1 modulo 2 SIZE (default 268369921)",
    )
    parser.add_argument(
        "--butterflies",
        type=_power_of_two(1, 64),
        default=4,
        help="of the engine it is compared with (default 4)",
    )
    parser.add_argument(
        "--unsigned", action="store_true", help="an array of unsigned bytes, digits of 8 bits"
    )
    _add_seed(parser)
    _add_json(parser)


def _fhe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--n",
        metavar="SIZE",
        type=_power_of_two(8, 1 << 15),
        default=4096,
        help="coefficients, a power of two (default 4096)",
    )
    parser.add_argument(
        "--limbs", type=_integer(3, 8), default=4, help="moduli of 28 bits (default 4)"
    )
    parser.add_argument(
        "--butterflies", type=_power_of_two(1, 64), default=4, help="of the NTT engine (default 4)"
    )
    _add_seed(parser)
    _add_json(parser)


def _demo(parser: argparse.ArgumentParser) -> None:
    _add_seed(parser)
    _add_json(parser)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of ns")
    return value


def _add_measurement(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--library", metavar="FILE.toml", help="standard cells (default NanGate 45 nm)"
    )
    parser.add_argument("--flat", action="store_true", help="synthesise as one module")
    _add_quick(parser)
    parser.add_argument(
        "--timer", choices=("opensta", "abc"), help="insist on a timer (default OpenSTA if there)"
    )
    parser.add_argument(
        "--operands",
        default="uniform",
        metavar="KIND",
        help="for power: uniform, normal:SIGMA or digits (default uniform)",
    )
    parser.add_argument(
        "--activity",
        choices=("delays", "zero-delay"),
        help="insist on gate delays or none (default delays if OpenSTA and Icarus are there)",
    )
    parser.add_argument("--no-power", action="store_true", help="do not measure power")
    parser.add_argument(
        "--prove", action="store_true", help="prove netlist = RTL and RTL = specification"
    )
    parser.add_argument(
        "--gates", action="store_true", help="run the netlist in the design's own bench"
    )
    _add_seed(parser)


def _add_quick(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="map by few recipes instead of all")


def _add_periods(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--period",
        metavar="NS",
        type=_positive,
        action="append",
        help="target period; may be repeated (default six from the smallest on)",
    )


def _digits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--width",
        metavar="BITS",
        type=_integer(2, 16),
        default=8,
        help="bits of an operand (default 8)",
    )
    parser.add_argument("--unsigned", action="store_true", help="operands are not negative")
    parser.add_argument(
        "--operands",
        metavar="KIND",
        nargs="+",
        help="uniform, normal:SIGMA, digits (default uniform, normal of 10 to 50, digits)",
    )
    _add_json(parser)


def _errors(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mantissa",
        metavar="BITS",
        type=_integer(1, 11),
        nargs="+",
        help="bits of a mantissa (default 1 2 3 4 7 10)",
    )
    parser.add_argument(
        "--k",
        metavar="K",
        type=_integer(1, 1 << 14),
        default=4096,
        help="terms of a dot product (default 4096)",
    )
    _add_seed(parser)
    _add_json(parser)


def _layer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        nargs="?",
        help=".npz or .safetensors with weights [k, n] (default the demo's network)",
    )
    parser.add_argument(
        "--matrix",
        metavar="NAME",
        action="append",
        default=[],
        help="a matrix of the file; may be repeated (default all)",
    )
    parser.add_argument("--transpose", action="store_true", help="weights are [n, k]")
    parser.add_argument(
        "--rows",
        metavar="M",
        type=_size,
        default=64,
        help="rows of random activations for a file's weights (default 64)",
    )
    parser.add_argument(
        "--group",
        metavar="K",
        type=_size,
        action="append",
        default=[],
        help="4-bit weights in groups of 32 to 256 k, with a scale and a zero point each, on "
        "systolic_grouped; may be repeated",
    )
    parser.add_argument(
        "--mode",
        metavar="SCALES",
        help="of groups: integer, power_of_two or float (default float)",
    )
    parser.add_argument(
        "--planes",
        metavar="BITS",
        type=int,
        action="append",
        default=[],
        help="binary codes of 1 to 8 bits with scales of two powers of two, on the look-up engine; "
        "may be repeated",
    )
    parser.add_argument(
        "--layout",
        metavar="SCALES",
        help="of bit planes: column, a scale for each k, or block, one for 16 columns and 4 k "
        "(default column)",
    )
    parser.add_argument(
        "--aligned",
        metavar="PLACES",
        type=int,
        action="append",
        default=[],
        help="FP16 activations aligned to 10 to 14 places by activation_aligner, 4-bit weights, "
        "with --group those in groups too; "
        "may be repeated",
    )
    parser.add_argument(
        "--mx",
        metavar="FORMAT",
        action="append",
        default=[],
        help="microscaling blocks of 32: e4m3, e5m2, e3m2, e2m3, e2m1 or mxint8, on "
        "mx_accumulator; may be repeated",
    )
    parser.add_argument(
        "--unit",
        metavar="NAME",
        action="append",
        default=[],
        help="one stand-alone PE: serial_pe (W4A8), term_serial_pe (INT8 activations, weights in "
        "e4m3, or in the format after a colon; energy is that of a term, times the mean terms of a "
        "weight), float_w4a16_pe, switchable_pe (W4A8, two columns at once) or "
        "switchable_pe:wide (W8A8); may be repeated",
    )
    parser.add_argument(
        "--pe",
        metavar="NAME",
        action="append",
        help="a processing element; may be repeated (default mac mix ternary shift fp4, those of "
        "them that the engine has, or else all that it has; none with --group, --planes, "
        "--aligned, --mx or --unit)",
    )
    parser.add_argument(
        "--design", metavar="ENGINE", default="systolic", help="a GEMM engine (default systolic)"
    )
    _add_settings(parser)
    parser.add_argument(
        "--energy", metavar="NS", type=_positive, help="measure energy per MAC at this period"
    )
    _add_seed(parser)
    _add_json(parser)


def _ppa(parser: argparse.ArgumentParser) -> None:
    _add_design(parser)
    _add_periods(parser)
    _add_measurement(parser)
    _add_json(parser)


def _fpga(parser: argparse.ArgumentParser) -> None:
    _add_design(parser)
    parser.add_argument(
        "--family", choices=("xilinx", "ecp5", "ice40"), default="xilinx", help="default xilinx (7)"
    )
    _add_json(parser)


def _sweep(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.toml", type=Path, help="designs and value ranges")
    parser.add_argument(
        "--library", metavar="FILE.toml", help="standard cells (default NanGate 45 nm)"
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a dask cluster (default a local one)"
    )
    parser.add_argument("--no-power", action="store_true", help="do not measure power")
    _add_quick(parser)
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, help="folder (default build/sweep)"
    )
    _add_json(parser)


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("designs", metavar="DESIGN", nargs="*", help="designs or presets")
    _add_settings(parser)
    parser.add_argument("--sweep", metavar="FILE.toml", type=Path, help="a sweep's points as well")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a dask cluster (default a local one)"
    )
    _add_periods(parser)
    _add_measurement(parser)
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, help="folder (default build/report)"
    )
    _add_json(parser)


# Name, summary, options, and the function that runs it: modules are imported when they are needed.
_COMMANDS: tuple[tuple[str, str, Callable[[argparse.ArgumentParser], None], str], ...] = (
    ("list", "the designs and presets there are", _list, "scripts.describe:run_list"),
    ("describe", "parameters, ports and cycles", _describe, "scripts.describe:run_describe"),
    ("emit", "write a design's Verilog and JSON", _emit, "scripts.emit:run"),
    ("sim", "simulate a design against its golden model", _sim, "scripts.simulate:run_sim"),
    ("compare", "run designs on one product", _compare, "scripts.simulate:run_compare"),
    ("bench-sim", "speed of simulation under cocotb", _bench_sim, "scripts.bench_sim:run"),
    ("pim-random", "random traces of PIM under its checker", _pim_random, "scripts.pim:run_random"),
    ("pim-table", "cycles of PIM: contract, model, RTL", _pim_table, "scripts.pim_table:run"),
    ("pim-plan", "tokens a second with PIM, four ways", _pim_plan, "scripts.pim:run_plan"),
    (
        "side-by-side",
        "a GEMM core and a PIM channel at one time",
        _side_by_side,
        "scripts.side_by_side:run",
    ),
    ("cross", "transforms of encryption on the INT8 array", _cross, "scripts.cross:run"),
    ("fhe", "an encrypted product in RTL, a toy", _fhe, "scripts.fhe:run"),
    ("demo", "run a real network on the GEMM core", _demo, "scripts.demo:run"),
    ("digits", "non-zero digits of operands, by encoder", _digits, "scripts.digits:run"),
    ("errors", "errors of products by integer addition", _errors, "scripts.errors:run"),
    ("layer", "real weights in arrays of narrow PEs", _layer, "scripts.layer:run"),
    ("ppa", "area, timing and energy in standard cells", _ppa, "scripts.ppa.command:run"),
    ("fpga", "look-up tables and multipliers of an FPGA", _fpga, "scripts.fpga:run"),
    ("sweep", "measure many designs in parallel", _sweep, "scripts.sweep:run"),
    ("report", "write a page with every table and plot", _report, "scripts.report:run"),
    ("doctor", "find the tools and say what is missing", _add_json, "scripts.doctor:run"),
)


def _parse(argv: Sequence[str]) -> argparse.Namespace | None:
    """Return the parsed command line, or `None` for one without a command."""
    parser = _Parser(prog="rtloom", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    subparsers = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser)
    commands: dict[str, argparse.ArgumentParser] = {}
    for name, summary, add_options, function in _COMMANDS:
        command = subparsers.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        add_options(command)
        command.set_defaults(command=name, function=function)
        commands[name] = command
    if not argv:
        parser.print_help()
        return None
    if not argv[0].startswith("-") and argv[0] not in commands:
        known = ", ".join(commands)
        raise ValueError(f"command: {argv[0]!r} is not one of {known}{nearest(argv[0], commands)}")
    args, surplus = parser.parse_known_args(argv)
    if surplus:
        options = re.findall(r"--[a-z]+", commands[args.command].format_help())
        raise ValueError(
            f"{surplus[0]}: not an argument of {args.command}{nearest(surplus[0], options)}"
        )
    return args


def _run(argv: Sequence[str]) -> int:
    args = _parse(argv)
    if args is None:
        return Status.OK
    module, _, function = args.function.partition(":")
    status = int(getattr(importlib.import_module(module), function)(args))
    sys.stdout.flush()
    return status


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except ValueError as error:
        return _fail(error, Status.BAD_INPUT)
    except MissingTool as error:
        return _fail(error, Status.MISSING_TOOL)
    except (SimulationError, YosysError, FlowError) as error:
        return _fail(error, Status.MISMATCH)
    except BrokenPipeError:
        # What is still buffered has nowhere to go; the interpreter would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Status.BROKEN_PIPE
    except OSError as error:
        return _fail(error, Status.BAD_INPUT)
    except KeyboardInterrupt:
        return _fail("interrupted", Status.INTERRUPTED)


def _fail(problem: object, status: Status) -> Status:
    print(f"rtloom: {problem}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
