import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import _prepare
from guests import TREE
from machine import Image, Machine
from support import require_root


@pytest.fixture(scope="module")
def guest(request, root, tmp_path_factory):
    """A guest with this tree; SUITE names the Debian release, ``BOOT`` of a module what else its kernel is told."""
    require_root()
    image = Image(_prepare.cache(), os.environ.get("SUITE", "bookworm"), root)
    image.build()
    machine = Machine(image, tmp_path_factory.mktemp("guest"), getattr(request.module, "BOOT", ""))
    try:
        machine.push(root, TREE)
        yield machine
    finally:
        machine.down()
