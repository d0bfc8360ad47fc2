"""``rtloom doctor``: every tool found, and the fix for what is missing."""

from argparse import Namespace
from dataclasses import asdict

from scripts.output import print_json, print_table
from scripts.status import Status
from sim.doctor import doctor


def run(args: Namespace) -> int:
    """Print what `sim.doctor` finds; the exit status tells whether a required tool is missing."""
    reports = doctor()
    if args.json:
        print_json([asdict(report) for report in reports])
    else:
        print_table(
            ("tool", "version", "from", "for"),
            [
                (
                    report.name,
                    report.version,
                    report.origin if report.found else _missing(report.required, report.fix),
                    report.purpose,
                )
                for report in reports
            ],
        )
    complete = all(report.found or not report.required for report in reports)
    return Status.OK if complete else Status.MISSING_TOOL


def _missing(required: bool, fix: str) -> str:
    return f"{'MISSING' if required else 'not found (optional)'}; fix: {fix}"
