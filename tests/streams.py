"""
Which tests run one after the other, and which at the same time: ``bin/test`` runs several streams of them at once.

And which need the kernel's audit subsystem, so that they have a kernel of their own where this one's is locked.
"""

import pathlib

HERE = pathlib.Path(__file__).resolve().parent
# Each runs in one process, in this order. Every other file is a stream of its own. The longest begin first.
STREAMS = {
    # A kernel has one audit subsystem. Those that have it for a moment come first: in between others get their turn.
    "audit": [
        "integration/test_auditd_lifecycle.py",
        "integration/test_coverage.py",
        "integration/test_prove.py",
        "integration/test_prepared.py",
        "functional/test_audit_rules.py",
        "functional/test_audit_rules_others.py",
        "functional/test_rule_groups.py",
        "functional/test_audit_rules_events.py",
        "functional/test_audit_rules_kernel.py",
        "functional/test_audit_rules_locked.py",
        "functional/test_audit_rules_hiding.py",
        "functional/test_audit_rules_drops.py",
        "functional/test_audit_rules_kill.py",
        "functional/test_auditd_space.py",
        "functional/test_auditd_conf.py",
        "functional/test_auditd_conf_kill.py",
        "functional/test_watch.py",
        "functional/test_sshtrail_pam_logins.py",
        "unit/base/test_kernel.py",
        # These two share a site.
        "integration/test_master.py",
        "integration/test_loop.py",
        "integration/test_highstate.py",
        "integration/test_killed.py",
        "integration/test_demo.py",
    ],
    # They share a running site, which costs half a minute of a processor to start.
    "site": [
        "integration/test_loop_hostile.py",
        "integration/test_master_remediate.py",
        "integration/test_master_storm.py",
        "integration/test_master_kill.py",
        "integration/test_environments.py",
        "integration/test_file_server.py",
        "integration/test_master_fleet.py",
        "integration/test_master_rollout.py",
    ],
    "docs": ["integration/test_docs_commands.py"],
}
# Of these every test needs the audit subsystem; of the others who asks for the fixture "audit".
KERNEL = {*STREAMS["audit"], *STREAMS["docs"]}
# What the second of two kernels of their own runs: as much as the first.
SECOND = {*STREAMS["docs"], "integration/test_master.py", "integration/test_loop.py"}
PLACES = {path: (number, at) for number, paths in enumerate(STREAMS.values()) for at, path in enumerate(paths)}


def place(item):
    """Return where a test stands among all (tuple): the streams first, then the files that wait more than compute."""
    path = item.path.relative_to(HERE).as_posix()
    return PLACES.get(path, (len(STREAMS), not path.startswith("integration"), path))


def belongs(item, part):
    """
    Tell whether a test is one of those that a run has (bool).

    part
        ``"without"`` (str) for those that do not need the audit subsystem, ``"only:1/2"`` for the first half of those
        that do, and so on: "only:1/1" for all of them.
    """
    if part == "without":
        return not needs_audit(item)
    number, parts = part.removeprefix("only:").split("/")
    return needs_audit(item) and (parts == "1" or number == half(item))


def needs_audit(item):
    """Tell whether a test needs the kernel's audit subsystem (bool)."""
    return "audit" in item.fixturenames or item.path.relative_to(HERE).as_posix() in KERNEL


def half(item):
    """Return which of two kernels a test has (str)."""
    return "2" if item.path.relative_to(HERE).as_posix() in SECOND else "1"


def scheduler(config, log):
    """Return what deals the streams out to the processes of pytest-xdist, in the order in which they stand."""
    from xdist.scheduler import LoadScopeScheduling

    class Streams(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            path = file.removeprefix("tests/")
            return next((name for name, paths in STREAMS.items() if path in paths), file)

    config.option.loadscopereorder = False
    return Streams(config, log)
