"""What only the host can tell against its policy: free space in two units, on the disk of its log."""

import pytest
from sshtrail_lib.policy import host
from sshtrail_lib.policy import pillar as policy_pillar

ENOUGH, MOST = 1, 10**9


def policy(tmp_path, left, admin, **more):
    config = {"space_left": left, "admin_space_left": admin, "log_file": f"{tmp_path}/to/be/made/audit.log"}
    auditd = {"config": {name: value for name, value in config.items() if value is not None}, **more}
    given = {"environment": "dev", "rules": {"groups": {"session": True}}, "auditd": auditd}
    return policy_pillar.build({"sshtrail": given}, "Debian")


@pytest.mark.parametrize("left, admin", [("1%", MOST), (ENOUGH, "99%"), ("5%", str(MOST))])
def test_a_warning_that_comes_too_late_is_told_before_anything_is_done(tmp_path, left, admin):
    with pytest.raises(policy_pillar.PolicyError, match="space_left is .*admin_space_left is .*must be larger .* MiB"):
        host.demand(policy(tmp_path, left, admin))


@pytest.mark.parametrize(
    "left, admin", [("99%", ENOUGH), (MOST, "99%"), ("20%", "10%"), (75, 50), ("1%", None), (75, None)]
)
def test_what_fits_is_the_policy(tmp_path, left, admin):
    asked = policy(tmp_path, left, admin)
    assert host.demand(asked) is asked


def test_another_tools_auditd_is_not_judged(tmp_path):
    host.demand(policy(tmp_path, "1%", MOST, managed=False))
