"""`python -m jobd` is the command `jobd`."""

from __future__ import annotations

import sys

from jobd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
