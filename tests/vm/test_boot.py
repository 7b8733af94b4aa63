"""
A kernel that was told at boot to audit nothing: everything says so, with the word that did it.
"""

from guests import TREE, ways

#: What the kernel's command line says beside what is always there.
BOOT = "audit=0"


def test_a_kernel_that_was_told_to_audit_nothing_is_named_first(guest):
    found = ways(guest)
    assert next(iter(found)) == "audit-off-at-boot" and "audit=0" in found["audit-off-at-boot"], found


def test_a_highstate_says_why_it_fails(guest):
    done = guest.run(f"{TREE}/bin/highstate", check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "audit=0" in said and "Traceback" not in said, said
    assert "audit-off-at-boot" in {one["what"] for one in guest.salt(TREE, "sshtrail.drift", "fresh=True")}


def test_a_proof_says_that_nothing_is_recorded(guest):
    found = guest.salt(TREE, "sshtrail.prove")
    assert (found["holds"], found["lost_at"]) == (False, "pam"), found
    assert "audit" in found["said"]
