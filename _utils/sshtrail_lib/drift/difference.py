"""
How a host differs from its policy: each difference with the layer that it belongs to.

Layers: ``package`` (installed), ``service`` (running, enabled), ``file`` (keywords of auditd.conf, rules files),
``compiled`` (the file that auditd's scripts load), ``kernel`` (rules and status), ``effective`` (keywords as sshd
decides them) and ``daemon`` (what runs works with other files than those that are there, or does not listen).
"""

import os

LAYERS = ("package", "service", "file", "compiled", "kernel", "effective", "daemon")


def entry(layer, what, expected, actual):
    """Return one difference (dict); ``since`` and ``by`` are not known yet."""
    return {"layer": layer, "what": what, "expected": expected, "actual": actual, "since": None, "by": None}


def of(layer, changes):
    """
    Return the differences (list of dict) in what a comparison of the states returned.

    layer
        The layer of what is compared (str).
    changes
        ``{what: {"old": what is, "new": what should be}}``.
    """
    return [entry(layer, what, change["new"], change["old"]) for what, change in changes.items()]


def of_daemon(layer, changes, daemon):
    """Return the differences in ``changes``, where the key ``daemon`` (str) tells of the running one."""
    return [found if found["what"] != daemon else {**found, "layer": "daemon"} for found in of(layer, changes)]


def of_rules(changes, rules_dir):
    """
    Return the differences in what ``audit_rules.compare`` returned (list of dict), one for each rule and setting.

    rules_dir
        The directory of the rules files (str); the file beside it is the compiled one.
    """
    files = {what: change for what, change in changes.items() if what not in ("kernel", "status")}
    found = [{**one, "layer": _layer_of(one["what"], rules_dir)} for one in of("file", files)]
    kernel, status = (changes.get(name, {"old": {}, "new": {}}) for name in ("kernel", "status"))
    settings = {name: {"old": status["old"][name], "new": value} for name, value in status["new"].items()}
    return [*found, *_of_kernel(kernel["old"], kernel["new"]), *of("kernel", settings)]


def _layer_of(path, rules_dir):
    return "file" if os.path.dirname(path) == rules_dir else "compiled"


def _of_kernel(gone, come):
    for rule in come:
        yield entry("kernel", rule, "loaded", "in another place" if rule in gone else None)
    for rule in gone:
        if rule not in come:
            yield entry("kernel", rule, None, "loaded")


def sentence(found):
    """Return a difference (dict) as a person reads it (str)."""
    return f"{found['layer']}: {found['what']} is {found['actual']!r}, expected {found['expected']!r}"
