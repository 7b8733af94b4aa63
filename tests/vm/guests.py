"""
What the tests ask of a guest.
"""

#: Where the tree is in a guest.
TREE = "/srv/saltext-sshtrail"


def highstate(guest):
    """Run the command under test in the guest; return what it says it changed (str)."""
    done = guest.run(f"{TREE}/bin/highstate", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.partition("Changed:\n")[2].partition("\n\n")[0]


def ways(guest):
    """What ``sshtrail.coverage`` says of ways in that do not hold (dict of str to its evidence)."""
    rows = guest.salt(TREE, "sshtrail.coverage", "fresh=True")
    return {row["check"]: row["evidence"] for row in rows if row["holds"] is False}
