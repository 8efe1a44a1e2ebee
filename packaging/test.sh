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

need first. Safe to run again.
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

# The built wheel, in an environment of its own that borrows only the dependencies.
wheel_works() (
    set -e
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work" "$root"
    "$bin/python" -m venv --without-pip "$work/venv"
    pip --python "$work/venv/bin/python" install --quiet --no-deps --no-index "$work"/*.whl
    where='import sysconfig; print(sysconfig.get_path("purelib"))'
    "$bin/python" -c "$where" >"$("$work/venv/bin/python" -c "$where")/dependencies.pth"
    cd "$work"
    venv/bin/desktop-scope list --json
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
check "wheel" bash packaging/check_wheel.sh

[ ${#failed[@]} -eq 0 ] || die "Failed: $(printf '%s; ' "${failed[@]}")"
say "All checks passed"
