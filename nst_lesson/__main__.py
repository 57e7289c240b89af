"""`python -m nst_lesson` is `nst-lesson`."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
