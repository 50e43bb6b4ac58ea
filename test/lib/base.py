"""Where the tree is. The other folders of test/ have a link to this file: what a program
there imports after it is looked for in its own folder first, then in test/lib.
"""

import os
import sys

LIB = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(LIB))
sys.path.append(LIB)

STOP_SECS = 10  # a session that was told to end and has not by then is killed
