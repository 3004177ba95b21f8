"""`python -m keras_seq`."""

import sys

from keras_seq.cli import main

sys.exit(main())
