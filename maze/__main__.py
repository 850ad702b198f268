"""`python -m maze` is the command `maze`."""

import sys

from maze.cli import main

sys.exit(main())
