# amaranth: UnusedElaboratable=no
"""``rtloom fhe``: an encrypted product, computed in RTL and decrypted. A toy, not secure."""

import argparse
import os
from itertools import islice
from typing import Any

import numpy as np

from golden import rns
from golden.bfv import Bfv
from golden.primes import ntt_primes
from hw.catalog import find
from scripts.output import print_json, print_table
from scripts.progress import step
from scripts.status import Status
from sim.encrypted import convert, multiply, product_engine, rescale
from sim.modular_array import ByteArray, ModularUnits
from sim.simulate import BUILD

BITS = 28
"""Of a modulus."""
TARGETS = 2
"""Moduli that the result is converted to."""
PLAIN = 65537
"""Modulus of messages; it splits every ring of up to 32768 coefficients."""


def run(args: argparse.Namespace) -> int:
    """Encrypt, multiply by a known message and rescale in RTL, decrypt; convert the basis."""
    primes = tuple(islice(ntt_primes(BITS, args.n), args.limbs + TARGETS))
    moduli, targets = primes[: args.limbs], primes[args.limbs :]
    # Refused before anything is encrypted.
    engine = product_engine(moduli, args.n, args.butterflies)
    depth = max(512, 4 * args.n)
    core = find("gemm_core").config.from_settings({"depth_b": depth, "depth_c": depth})
    scheme = Bfv(args.n, PLAIN, moduli)
    lower = scheme.without_last()
    rng = np.random.default_rng(args.seed)
    message, factor = rng.integers(0, PLAIN, (2, args.n))
    key = scheme.secret_key(rng)
    with step(f"encryption of {args.n} numbers in NumPy"):
        ciphertext = scheme.encrypt(scheme.encode(message), key, rng)
        known = rns.residues(scheme.encode(factor), moduli)
    units = ModularUnits(BUILD / "sim-work" / "fhe" / str(os.getpid()), args.seed)
    with step(f"product of {args.limbs} limbs on an NTT engine"):
        product = multiply(units, ciphertext, known, engine)
    with step("division by the last modulus"):
        scaled = rescale(units, product, moduli)
    with step("conversion to other moduli on the INT8 array"):
        converted = convert(ByteArray(core, units), scaled, lower.moduli, targets)
    with step("decryption and golden models in NumPy"):
        budgets = {
            "fresh": scheme.decrypt(ciphertext, key)[1],
            "product": scheme.decrypt(product, key)[1],
        }
        polynomial, budgets["rescaled"] = lower.decrypt(scaled, key)
        expected = np.stack([scheme.product(part, known) for part in ciphertext])
        divided = np.stack([rns.rescale(part, moduli) for part in expected])
        other = np.stack([rns.convert(part, lower.moduli, targets) for part in divided])
        equal = {
            "product equal to the golden one": np.array_equal(product, expected),
            "division equal to the golden one": np.array_equal(scaled, divided),
            "conversion equal to the golden one": np.array_equal(converted, other),
            "message is the product, slot by slot": np.array_equal(
                scheme.decode(polynomial), message * factor % PLAIN
            ),
        }
    figures: dict[str, Any] = {
        "n": args.n,
        "plain": PLAIN,
        "moduli": list(moduli),
        "targets": list(targets),
        "steps": units.steps,
        "noise_budget_bits": budgets,
        "equal": equal,
        "seed": args.seed,
    }
    if args.json:
        print_json(figures)
    else:
        print_table(
            ["unit", "shape", "cycles"],
            [[s["unit"], " x ".join(map(str, s["shape"])), s["cycles"]] for s in units.steps],
            f"{args.n} numbers modulo {PLAIN}, {args.limbs} limbs; a toy, not secure",
        )
        shown = {
            **{f"noise budget, {what}": f"{bits:.1f} bits" for what, bits in budgets.items()},
            **{what: "yes" if same else "NO" for what, same in equal.items()},
            "seed": args.seed,
        }
        print_table(None, list(shown.items()))
    return Status.OK if all(equal.values()) else Status.MISMATCH
