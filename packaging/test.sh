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

# The libraries that others read SAEs with pull in much that the program must not depend on, so they
# live in an environment of their own.
reference_tests() (
    venv=$root/.venv-reference
    bin=$venv/bin
    make_venv
    install_project test,reference
    # It comes with a dependency of a dependency, built for another torch, and breaks its import.
    pip uninstall --quiet --yes torchvision
    "$bin/python" -m pytest -m reference --no-xvfb
)

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
check "other libraries agree" reference_tests
check "wheel" bash packaging/check_wheel.sh

[ ${#failed[@]} -eq 0 ] || die "Failed: $(printf '%s; ' "${failed[@]}")"
say "All checks passed"
