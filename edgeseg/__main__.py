"""`python -m edgeseg`, which `torchrun -m edgeseg` needs too."""

from __future__ import annotations

from edgeseg.cli import main

if __name__ == "__main__":
    main()
