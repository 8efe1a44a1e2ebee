#!/usr/bin/env bash
# Builds the wheel and runs it, with its resources, in an environment that has nothing else of
# the project and borrows only the dependencies. Called by test.sh.
set -euo pipefail
# shellcheck source=packaging/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
site_of() { "$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }

pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work" "$root"
"$bin/python" -m venv --without-pip "$work/venv"
pip --python "$work/venv/bin/python" install --quiet --no-deps --no-index "$work"/*.whl
site_of "$bin/python" >"$(site_of "$work/venv/bin/python")/dependencies.pth"
cd "$work"
venv/bin/desktop-scope list --json >list.json && grep -q demo/layer_29 list.json
