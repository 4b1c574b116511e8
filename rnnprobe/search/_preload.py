"""Imported first by the server that children are forked from: Keras without what it can spare.

Keras imports scikit-learn, pandas and matplotlib where they are there, for wrappers and plots that
no training uses; without them the first child can begin a second earlier (3.2 against 2.2 s), and
each takes less memory. Whoever needs them in a child, such as a user's own cell, may import them.
"""

from __future__ import annotations

import sys

_SPARED = ("sklearn", "pandas", "matplotlib")

_blocked = [name for name in _SPARED if name not in sys.modules]
for _name in _blocked:
    sys.modules[_name] = None  # type: ignore[assignment]  # what makes an import fail
try:
    import keras  # noqa: F401
finally:
    for _name in _blocked:
        del sys.modules[_name]
