#!/usr/bin/env bash
# Runs every check of the project; sets up what they need first. Safe to run again.
set -euo pipefail
# shellcheck source=packaging/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$root"

export QT_QPA_PLATFORM=offscreen OMP_WAIT_POLICY=PASSIVE
failed=()

# check NAME COMMAND… goes on after a failure, so that one run tells all.
check() {
    local name=$1 start=$SECONDS
    shift
    say "$name"
    "$@" </dev/null || failed+=("$name")
    echo "   $name: $((SECONDS - start)) s" >&2
}

need "${qt_needs[@]}" "${x11_needs[@]}" "${test_needs[@]}"
make_venv
install_project test
mkdir -p artifacts

check "demo model" "$bin/desktop-scope" demo --fetch-only
check "ruff" "$bin/ruff" check .
check "format" "$bin/ruff" format --check .
check "types" "$bin/mypy"
check "layers" "$bin/lint-imports"
check "tests" "$bin/python" -m pytest -m "not xvfb" --no-xvfb
check "tests in a real window" env QT_QPA_PLATFORM=xcb "$bin/python" -m pytest -m xvfb
check "wheel" bash packaging/check_wheel.sh

[ ${#failed[@]} -eq 0 ] || die "Failed: $(printf '%s; ' "${failed[@]}")"
say "All checks passed"
