# Common tasks; `just` lists them. The tools are those of .venv: python3 -m venv .venv && .venv/bin/pip install '.[dev]'

bin := ".venv/bin"

_default:
    @{{just_executable()}} --list --unsorted

# run the tests, or those named: just test tests/unit -k watermark
test *args:
    {{bin}}/python -m pytest -n auto {{args}}

# check style, formatting, types, import contracts and migrations
lint:
    {{bin}}/ruff check .
    {{bin}}/ruff format --check .
    {{bin}}/mypy .
    {{bin}}/lint-imports
    {{bin}}/python manage.py makemigrations --check --dry-run

# format the code and apply safe fixes
format:
    {{bin}}/ruff check --fix .
    {{bin}}/ruff format .

# serve the admin
run *args:
    {{bin}}/python manage.py serve {{args}}

# run a benchmark: transfer, full_run, verifying
bench name="transfer":
    {{bin}}/python -m tests.benchmarks.{{name}}

# run everything that a change must pass
ci:
    .ci/run
