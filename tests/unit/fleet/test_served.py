"""
fleet.served: what a master serves, from a checkout and from the wheel.
"""

import pytest
from salt.exceptions import CommandExecutionError
from sshtrail_lib.fleet import served


def test_the_checkout_comes_after_what_the_master_has(root):
    opts = {"file_roots": {"base": ["/srv/salt"], "dev": ["/srv/dev"]}, "pillar_roots": {}}
    wanted = {"file_roots": {"base": ["/srv/salt", str(root / "salt")], "dev": ["/srv/dev"]}}
    assert served.roots(opts) == {**wanted, "pillar_roots": {"base": [str(root / "pillar")]}}
    assert served.roots(served.roots(opts)) == served.roots(opts)


def test_what_is_not_there_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(served, "PLACES", (str(tmp_path),))
    with pytest.raises(CommandExecutionError, match="install the wheel"):
        served.roots({})
