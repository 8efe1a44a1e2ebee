# Shared by run.sh and test.sh: system libraries, virtual environment, PyTorch, the project.
# shellcheck shell=bash disable=SC2034 # some names are used only there

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
bin=$venv/bin

# The version that the project is tested with; any from 2.6 on that is there already is kept.
torch="torch==2.13.0"

# What Qt needs from the system: a library or command, and the Debian package that has it.
qt_needs=(
    libEGL.so.1:libegl1 libGL.so.1:libgl1 libxkbcommon.so.0:libxkbcommon0
    libdbus-1.so.3:libdbus-1-3 libfontconfig.so.1:libfontconfig1 libglib-2.0.so.0:libglib2.0-0
)
x11_needs=(
    libxcb-cursor.so.0:libxcb-cursor0 libxcb-icccm.so.4:libxcb-icccm4
    libxcb-keysyms.so.1:libxcb-keysyms1 libxcb-shape.so.0:libxcb-shape0
    libxkbcommon-x11.so.0:libxkbcommon-x11-0
)
wayland_needs=(libwayland-cursor.so.0:libwayland-cursor0)
test_needs=(Xvfb:xvfb xauth:xauth)

say() { printf '\n== %s\n' "$*" >&2; }

die() {
    printf '\n%s\n' "$*" >&2
    exit 1
}

is_there() {
    case $1 in
        *.so.*) /sbin/ldconfig -p 2>/dev/null | grep -F "$1 " >/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

# Runs a command as root; fails where that would need a password.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        command -v sudo >/dev/null && sudo -n "$@"
    fi
}

apt_install() {
    local get=(env DEBIAN_FRONTEND=noninteractive apt-get -q)
    command -v apt-get >/dev/null || return 1
    as_root "${get[@]}" update </dev/null >&2 || true # an old list may still do
    as_root "${get[@]}" install -y --no-install-recommends "$@" </dev/null >&2
}

# need LIBRARY:PACKAGE… installs what is missing, or names it and goes on.
need() {
    local missing=() entry
    for entry in "$@"; do
        is_there "${entry%%:*}" || missing+=("${entry#*:}")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "Installing system packages: ${missing[*]}"
    apt_install "${missing[@]}" && return
    say "These could not be installed, which needs root. If the window does not open, run:" \
        "sudo apt-get install ${missing[*]}"
}

find_python() {
    local name
    for name in "${PYTHON:-python3}" python3.{14,13,12,11}; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    return 1
}

make_venv() {
    local python version
    "$bin/python" -m pip --version >/dev/null 2>&1 && return
    python=$(find_python) || { apt_install python3 && python=$(find_python); } ||
        die "Python 3.11 or newer is needed. Install it, or name it: PYTHON=/path/to/python3.11 $0"
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        say "Installing python$version-venv"
        apt_install "python$version-venv" ||
            die "Python's venv module is missing. Run: sudo apt-get install python$version-venv"
    fi
    say "Making .venv with Python $version"
    "$python" -m venv --clear "$venv"
}

pip() { "$bin/python" -m pip --disable-pip-version-check --no-input "$@" </dev/null >&2; }

# PyPI's wheel for Linux holds several gigabytes for NVIDIA cards; without one, the small build.
install_torch() {
    "$bin/python" - <<'END' 2>/dev/null && return
from importlib.metadata import version
raise SystemExit(tuple(map(int, version("torch").split(".")[:2])) < (2, 6))
END
    say "Installing PyTorch, which may take some minutes"
    if [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null; then
        pip install --quiet --retries 0 --timeout 15 \
            --index-url https://download.pytorch.org/whl/cpu \
            --extra-index-url "${PIP_INDEX_URL:-https://pypi.org/simple}" \
            "$torch+cpu" && return
        say "The build without CUDA cannot be had here; taking PyPI's, which may be several GB"
    fi
    pip install --quiet "$torch"
}

# install_project [EXTRA] is done once for each state of pyproject.toml, Python and folder.
install_project() {
    local extra=${1:-} done_file=$venv/installed key
    key=$({
        "$bin/python" --version
        echo "$root"
        cat "$root/pyproject.toml"
    } | sha256sum | cut -c 1-64)
    grep -qx "$key.*$extra" "$done_file" 2>/dev/null && return
    install_torch || die "PyTorch could not be installed. Is this machine online?"
    say "Installing Desktop Scope and what it needs"
    # Whatever is installed beside it, the torch that is there stays: others may be gigabytes.
    "$bin/python" - >"$venv/constraints.txt" <<'END'
from importlib.metadata import version
print("torch==" + version("torch"))
END
    pip install --quiet --constraint "$venv/constraints.txt" --editable "$root${extra:+[$extra]}" ||
        die "Desktop Scope could not be installed. Is this machine online?"
    echo "$key $extra" >>"$done_file"
}
