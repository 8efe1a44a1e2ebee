#!/usr/bin/env bash
# Sets Desktop Scope up and opens it; without a screen it prints a trace and draws the window.
# Safe to run again, from any folder: what is there already is kept.
set -euo pipefail
# shellcheck source=packaging/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

need "${qt_needs[@]}"
if [ -n "${DISPLAY:-}" ]; then need "${x11_needs[@]}"; fi
if [ -n "${WAYLAND_DISPLAY:-}" ]; then need "${wayland_needs[@]}"; fi
make_venv
install_project

"$bin/desktop-scope" demo --fetch-only >&2
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    exec "$bin/desktop-scope" demo
fi

export QT_QPA_PLATFORM=offscreen
say "No screen here. What lights up in the model:"
"$bin/desktop-scope" trace "My chihuahua barks at presidents." --top 5
"$bin/desktop-scope" screenshot desktop-scope.png
say "The window is drawn in $PWD/desktop-scope.png"
