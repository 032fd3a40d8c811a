"""Model files that hold what no model can."""

import pytest

import palate
from palate.errors import OptionError, TamperedModelError
from palate.storing import container


def assert_refused(path, tensors, header):
    """A file of these parts cannot be written, or is refused as tampered when it is loaded."""
    try:
        container.write(path, tensors, header)
    except (ValueError, OptionError):
        return
    with pytest.raises(TamperedModelError):
        palate.load(path)
