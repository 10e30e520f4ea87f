"""Install what the tests need and is missing: ``python -m tests.servers.debian``.

Nothing is downloaded when all programs are there.
"""

import sys

from tests.servers.choice import prepare
from tests.servers.packages import CannotInstallError


def main() -> int:
    """Say what was found or installed; return the exit status."""
    try:
        print(prepare())
    except (CannotInstallError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
