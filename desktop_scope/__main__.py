"""``python -m desktop_scope``."""

import sys

from desktop_scope.cli import main

if __name__ == "__main__":
    sys.exit(main())
