# make demo    sets up and shows the main job: a series in over C-STORE, SEG and SR back in the archive
# make test    sets up and passes the tests, on JOBS=3 processes (of two, one waits a third of the time); the files of a folder in turn
# make lint    ruff, mypy --strict
# make bench   the starter's figures on this machine: against nnU-Net's commands, end to end, memory (docs/benchmarks.md)
# make bench-net  ingest against Orthanc: images per second, CPU, idle associations, memory
# make bench-batch  a batch: workers against one worker, overhead a case, memory over 500 cases
# make bench-web  the web page and /metrics over a journal of 10,000 cases
# make docs      docs/settings.md, the reference of the settings, made from the code
# make sbom      what the node is made of, as CycloneDX, into sbom.cdx.json
# make pictures  OHIF beside a running node and Orthanc, and what it shows: SERIES=folder or "phantom", into pictures-out
# make faults  kill, power cut, full disk, damaged journal, hostile peers: the whole run, into docs/reliability.md
# make setup   the virtual environment in .venv, exact versions from constraints.txt

PYTHON ?= python3
JOBS ?= 3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test lint bench bench-net bench-batch bench-web docs sbom pictures faults clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt config/setup.sh
	PYTHON=$(PYTHON) sh config/setup.sh $(VENV)
	touch $(READY)

demo: setup
	$(BIN)/cspine-node demo --out demo-out

# threads of the networks that wait for each other must not spin on the CPUs of the other process: it took a third of the time
test: setup
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/cspine-node bench --only r1,r2,results,memory --out bench.json

bench-net: setup
	$(BIN)/cspine-node bench-net --out bench-net.json

bench-batch: setup
	$(BIN)/cspine-node bench-batch --out bench-batch.json

bench-web: setup
	$(BIN)/cspine-node bench-web --out bench-web.json

docs: setup
	$(BIN)/cspine-node settings > docs/settings.md

sbom: setup
	$(BIN)/python config/sbom.py $(BIN)/python sbom.cdx.json

pictures: setup
	mkdir -p pictures-out
	PYTHONPATH=.:tests $(BIN)/python -m ohif $(or $(SERIES),phantom) pictures-out

faults: setup
	PYTHONPATH=.:tests $(BIN)/python -m faults

clean:
	rm -rf $(VENV) demo-out pictures-out .pytest_cache .mypy_cache .ruff_cache .hypothesis
