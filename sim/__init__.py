"""Simulation: the Verilator runner, cocotb benches, drivers and scoreboards."""
