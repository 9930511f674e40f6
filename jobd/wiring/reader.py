"""`python -m jobd.wiring.reader EFFECTIVE FD NEXT`: a reload's reader where no jobd.toml was named.

Lays down the configuration the daemon was started with, so that a reload reads the code anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jobd.seams.lines import Lines


def main(argv: list[str]) -> int:
    """Copy the file, and say so."""
    Path(argv[3]).write_bytes(Path(argv[1]).read_bytes())
    Lines.from_fd(int(argv[2])).send({"ready": {}})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
