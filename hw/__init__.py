"""Engines built from units, their emission as Verilog, and the catalogue of designs."""
