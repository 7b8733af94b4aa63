"""
The reference, made from the code: pages of reStructuredText that bin/docs puts into the site.

What Salt loads is read from its source, without importing it. The policy's schema and the keyword tables are imported:
they are data.
"""

import ast
import functools
import json
import os
import sys
import textwrap
import typing

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
LIBRARY = os.path.join(ROOT, "_utils", "sshtrail_lib")
LAWS = os.path.join(ROOT, "tests", "unit", "test_laws.py")
#: What Salt loads: the directory, and how the page names what is in it.
LOADED = {"execution": "_modules", "state": "_states", "runner": "_runners"}


class Function(typing.NamedTuple):
    """A public function: its name, its arguments as one writes them (str), and its docstring (str)."""

    name: str
    arguments: str
    doc: str


class Module(typing.NamedTuple):
    """A module that Salt loads: its name, its docstring (str), and its public functions (list)."""

    name: str
    doc: str
    functions: list


# --- What the source says ---------------------------------------------------------------------------------------


@functools.cache
def tree(path):
    """Return the syntax tree of the file at ``path`` (str)."""
    with open(path, encoding="utf-8") as handle:
        return ast.parse(handle.read())


def modules(kind):
    """Return the modules (list of :class:`Module`) of a ``kind`` (str, a key of :data:`LOADED`), sorted by name."""
    directory = os.path.join(ROOT, LOADED[kind])
    return [module(os.path.join(directory, name)) for name in sorted(os.listdir(directory)) if name.endswith(".py")]


def module(path):
    """Return the :class:`Module` at ``path`` (str), under the name by which Salt calls it."""
    name = constant(path, "__virtualname__") or os.path.basename(path).removesuffix(".py")
    public = [node for node in tree(path).body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    functions = [Function(alias(path, node), arguments(path, node), ast.get_docstring(node) or "") for node in public]
    return Module(name, ast.get_docstring(tree(path)) or "", sorted(functions))


def alias(path, node):
    """Return the name by which Salt calls a function: some names are Python's own words."""
    return (constant(path, "__func_alias__") or {}).get(node.name, node.name)


def arguments(path, node):
    """Return the arguments of a function as one writes them (str), its defaults as values and without annotations."""
    plain = ast.parse(ast.unparse(node)).body[0].args
    for one in [*plain.posonlyargs, *plain.args, *plain.kwonlyargs, plain.vararg, plain.kwarg]:
        if one is not None:
            one.annotation = None
    plain.defaults = [value(path, default) for default in plain.defaults]
    plain.kw_defaults = [default and value(path, default) for default in plain.kw_defaults]
    return ast.unparse(plain)


def value(path, node):
    """Return the node of a value in the file at ``path``, with what its names stand for put in their place."""
    found = None
    if isinstance(node, ast.Name):
        room, name = origins(path).get(node.id, (path, node.id))
        found = name and assigned(room, name)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        room, name = origins(path).get(node.value.id, (None, None))
        found = room and not name and assigned(room, node.attr)
    elif isinstance(node, ast.JoinedStr):
        parts = [
            value(path, getattr(part, "value", part)) if not isinstance(part, ast.Constant) else part
            for part in node.values
        ]
        found = ast.Constant("".join(str(ast.literal_eval(part)) for part in parts))
    return found or node


def assigned(path, name):
    """Return the node that the file at ``path`` gives to a name of its own (str), or None."""
    for node in tree(path).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return value(path, node.value)
    return None


def constant(path, name):
    """Return the literal that the file at ``path`` gives to a name (str), None when there is none."""
    node = assigned(path, name)
    return None if node is None else ast.literal_eval(node)


def origins(path):
    """
    Return where each name comes from that the file at ``path`` imports from the library.

    A dict of str to the path of a room and the name in it, which is None for the room itself.
    """
    found = {}
    for node in tree(path).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sshtrail_lib."):
            place = os.path.join(os.path.dirname(LIBRARY), *node.module.split("."))
            for one in node.names:
                room = f"{place}.py" if os.path.isfile(f"{place}.py") else os.path.join(place, f"{one.name}.py")
                found[one.asname or one.name] = (room, one.name if room == f"{place}.py" else None)
    return found


def rooms():
    """Yield each room of the library: its wing, its name, its first sentence, and what it may do (all str)."""
    pure, asking = law("PURE"), law("ASKING")
    for wing in sorted(os.listdir(LIBRARY)):
        directory = os.path.join(LIBRARY, wing)
        names = sorted(os.listdir(directory)) if os.path.isdir(directory) and not wing.startswith("_") else []
        for name in (one.removesuffix(".py") for one in names if one.endswith(".py") and not one.startswith("_")):
            may = "computes" if name in pure.get(wing, ()) else "asks" if name in asking.get(wing, ()) else "acts"
            yield wing, name, summary(ast.get_docstring(tree(os.path.join(directory, f"{name}.py"))) or ""), may


def law(name):
    """Return one of the tables of the laws (dict of wing to set of rooms), which are written with stars in them."""
    return eval(compile(ast.Expression(assigned(LAWS, name)), LAWS, "eval"))


def summary(doc):
    """Return the first paragraph of a docstring (str) on one line."""
    return " ".join(doc.strip().split("\n\n")[0].split())


# --- The pages --------------------------------------------------------------------------------------------------


def loaded(kind):
    """Return the page of all modules of a ``kind`` (list of str, lines)."""
    return [line for one in modules(kind) for line in described(kind, one)]


def described(kind, one):
    """Return the lines (list of str) about one :class:`Module`."""
    lines = [f".. py:currentmodule:: {kind}", "", *heading(one.name, "-"), *one.doc.splitlines(), ""]
    for function in one.functions:
        lines += [f".. py:function:: {one.name}.{function.name}({function.arguments})", "   :module: " + kind, ""]
        lines += [f"   {line}".rstrip() for line in function.doc.splitlines()] + [""]
    return lines


def heading(text, line):
    return [text, line * len(text), ""]


def table(header, rows):
    """Return a table (list of str, lines) with a ``header`` and ``rows`` (iterables of str)."""
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: auto", ""]
    for row in [header, *rows]:
        lines += [f"   {'  ' if number else '* '}- {cell}".rstrip() for number, cell in enumerate(row)]
    return [*lines, ""]


def code(text):
    return f"``{text}``" if text not in ("", None) else ""


def library():
    """Return the table of the library's rooms (list of str, lines)."""
    rows = [(code(f"{wing}/{name}.py"), may, line) for wing, name, line, may in rooms()]
    return table(("room", "it", "what is in it"), rows)


def use_library():
    """Make the library importable, as it is in the checkout."""
    path = os.path.dirname(LIBRARY)
    if path not in sys.path:
        sys.path.insert(0, path)


# --- Tables -----------------------------------------------------------------------------------------------------

#: What the options of a minion's or a master's configuration mean; their names and defaults are read from the code.
SETTINGS = {
    "sshtrail.run_dir": "Minion. The directory for locks and marks and for what programs said of themselves, until the "
    "next boot (path). Only tests need another one.",
    "sshtrail.state_dir": "Minion. The directory in which is remembered what was changed, and what stood there before "
    "(path); ``/var/lib/sshtrail``, or below another ``sshtrail.run_dir``.",
    "sshtrail.daemon_timeout": "Minion. How long auditd may take to confirm that it works with its new file (seconds).",
}


def settings():
    """Return the page of Salt's options that this project reads (list of str, lines)."""
    lines = []
    for name, default in sorted(options().items()):
        lines += [f".. confval:: {name}", f"   :default: {code(default)}", "", f"   {SETTINGS[name]}", ""]
    limits = os.path.join(LIBRARY, "fleet", "remedy.py")
    node = next(node for node in tree(limits).body if isinstance(node, ast.ClassDef) and node.name == "Limits")
    fields = {one.target.id: ast.unparse(one.value) for one in node.body if isinstance(one, ast.AnnAssign)}
    lines += [".. confval:: sshtrail_remediate", "   :type: mapping", f"   :default: {code(fields)}", "", "   Master."]
    return [*lines, "", *(f"   {line}".rstrip() for line in ast.get_docstring(node).splitlines()), ""]


def options():
    """Return the options of this project that the code reads, each with its default (dict of str to str)."""
    found = {}
    for path in sources():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and str(first.value).startswith("sshtrail."):
                    found[first.value] = ast.unparse(value(path, node.args[1]))
    return found


def sources():
    """Yield the path of every Python file that runs on a host or a master."""
    for directory in (*LOADED.values(), os.path.relpath(LIBRARY, ROOT)):
        for top, _, names in os.walk(os.path.join(ROOT, directory)):
            yield from (os.path.join(top, name) for name in sorted(names) if name.endswith(".py"))


@functools.cache
def library_names():
    """Return the dotted name of each room of the library and of every class and function in it (frozenset of str)."""
    found = set()
    for path in (one for one in sources() if one.startswith(LIBRARY)):
        room = "sshtrail_lib." + os.path.relpath(path, LIBRARY).removesuffix(".py").replace(os.sep, ".")
        found |= {room, *(f"{room}.{name}" for name in names(tree(path)))}
    return frozenset(found)


def names(node, prefix=""):
    """Yield the dotted names of the classes, functions and values that a syntax tree defines."""
    for one in node.body:
        if isinstance(one, (ast.FunctionDef, ast.ClassDef)):
            yield prefix + one.name
        if isinstance(one, ast.ClassDef):
            yield from names(one, f"{prefix}{one.name}.")
        if isinstance(one, ast.Assign):
            yield from (prefix + target.id for target in one.targets if isinstance(target, ast.Name))


def rule_groups():
    """Return the page of the ready rule groups (list of str, lines)."""
    use_library()
    from sshtrail_lib.policy import claims, groups

    lines = []
    for name, group in groups.GROUPS.items():
        sets = ", ".join(code(one) for one, members in claims.SETS.items() if name in members)
        lines += [*heading(name, "-"), f"{group['title']}." + (f" Part of {sets}." if sets else ""), ""]
        rules = group["rules"] or [f"-a always,exit -F path=PROGRAM {group['privileged']}"]
        lines += ["::", "", *(f"   {rule}" for rule in rules), "", *answered(name)]
    lines += heading("Sets", "-")
    for name, members in claims.SETS.items():
        lines += [f"{code(name)}", f"   {', '.join(map(code, members))}", ""]
    return lines


def answered(group):
    """Return the list (list of str, lines) of the controls that a ready group (str) answers, edition by edition."""
    from sshtrail_lib.policy import claims, controls

    found = {name: [one.id for one in claims.answered(group, name)] for name in controls.CONTROLS}
    lines = [f"- {name} {controls.EDITIONS[name]}: {', '.join(ids)}" for name, ids in found.items() if ids]
    return [*lines, ""] if lines else []


def pillar():
    """Return the page of the pillar's keys (list of str, lines)."""
    use_library()
    from sshtrail_lib.policy import platforms, schema

    lines = []
    for path, key in schema.keys(schema.POLICY):
        below = path.split(":")[1:]
        everywhere = below[0] in schema.LAYER
        lines += [f".. confval:: {path}", f"   :type: {key.kind.takes}"]
        found = default(schema.DEFAULTS, below)
        lines += [f"   :default: {code(written(found))}"] if found is not None else []
        lines += ["", f"   {key.means}", ""]
        given = distribution(platforms.ENTRIES, below)
        added = [f"{code(text)} ({', '.join(families)})" for text, families in given.items()]
        lines += [f"   By distribution: {', '.join(added)}.", ""] if added else []
        lines += [f"   {'May stand in every layer.' if everywhere else 'Stands directly under sshtrail only.'}", ""]
        if below == ["rules", "groups"]:
            lines += [
                f"   A group of your own has {code(name)}: {one.means} ({one.kind.takes})\n"
                for name, one in schema.GROUP.items()
            ]
    return lines


def default(tree, names):
    """Return what a tree (dict) holds at a path (list of str), None for nothing."""
    for name in names:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def written(found):
    """Return a value as one writes it into a pillar (str)."""
    return found if isinstance(found, str) else json.dumps(found)


def distribution(entries, below):
    """Return what each family of distributions adds at a path (list of str): ``{value: [family, …]}``."""
    found = {}
    for family, rows in entries.items():
        for place, given, _source in rows:
            *above, last = place.split(":")
            if below in (above, [*above, last]):
                found.setdefault(given if below[-1] == last else f"{last}: {given}", []).append(family)
    return found


def sshd_keywords():
    """Return the table of sshd's keywords (list of str, lines)."""
    use_library()
    from sshtrail_lib.sshd import keywords

    second = {
        keywords.FIRST: "has no effect",
        keywords.LAST: "decides",
        keywords.ACCUMULATE: "adds to the list",
        keywords.MERGE: "adds the parts that are not set yet",
    }
    rows = []
    for one in sorted(keywords.KEYWORDS.values()):
        if one.kind != "ignored":
            repeat = second[one.repeat]
            if one.last_until != keywords.ALWAYS:
                repeat += f" (decides before {release(one.last_until)})"
            rows.append((one.name, match(one, keywords), repeat, lifetime(one, keywords)))
    return table(("keyword", "in a Match block", "a second line", "releases"), rows)


def match(one, keywords):
    """Tell whether a keyword of sshd may stand in a Match block (str)."""
    if one.match_since != keywords.ALWAYS:
        return f"from {release(one.match_since)}"
    return "yes" if one.in_match else "no"


def lifetime(one, keywords):
    """Tell which releases of OpenSSH have a keyword (str)."""
    if one.since == keywords.NEVER:
        return "builds with a patch for it"
    words = [f"from {release(one.since)}"] if one.since != keywords.ALWAYS else []
    words += [f"before {release(one.until)}"] if one.until != keywords.NEVER else []
    return ", ".join(words) or "all"


def release(version):
    return ".".join(map(str, version))


def auditd_keywords():
    """Return the table of auditd's keywords (list of str, lines)."""
    use_library()
    from sshtrail_lib.auditd import keywords

    rows = []
    for one in keywords.KEYWORDS:
        words = [f"from {release(one.since)}"] if one.since != keywords.FIRST else []
        words += [f"before {release(one.until)}"] if one.until else []
        reread = "a reload"
        if one.reread != keywords.FIRST:
            reread = f"a reload from {release(one.reread)} on, before that a restart" if one.reread else "a restart"
        rows.append((one.name, one.type.allowed, code(one.default), reread, ", ".join(words) or "all"))
    return table(("keyword", "takes", "default", "a running auditd takes it up by", "releases"), rows)


PAGES = {
    "execution-modules": lambda: loaded("execution"),
    "states": lambda: loaded("state"),
    "runners": lambda: loaded("runner"),
    "settings": settings,
    "rule-groups": rule_groups,
    "sshd-keywords": sshd_keywords,
    "auditd-keywords": auditd_keywords,
    "library": library,
    "pillar": pillar,
}


# --- pillar.example ---------------------------------------------------------------------------------------------

#: What an example has where there is no default, or where that shows nothing.
EXAMPLES = {
    "sshtrail:environment": "prod",
    "sshtrail:layers": {
        "common": {"sshd": {"config": {"MaxAuthTries": 4}}, "drift": {"action": "report"}},
        "prod": {"sshd": {"config": {"MaxAuthTries": 3}}, "drift": {"action": "repair"}},
    },
    "sshtrail:sshd:package": "openssh-server",
    "sshtrail:sshd:service": "ssh",
    "sshtrail:sshd:logs": {"AUTH": "/var/log/auth.log", "AUTHPRIV": "/var/log/auth.log"},
    "sshtrail:sshd:config": {"UsePAM": "yes", "LogLevel": "VERBOSE", "SyslogFacility": "AUTHPRIV"},
    "sshtrail:sshd:matches": [{"User backup": {"X11Forwarding": "no"}}],
    "sshtrail:sshd:admins": ["alice", "deploy"],
    "sshtrail:auditd:package": "auditd",
    "sshtrail:auditd:config": {
        **{"write_logs": "yes", "local_events": "yes", "log_format": "enriched", "max_log_file": 50},
        **{"max_log_file_action": "keep_logs", "space_left": "25%", "admin_space_left": "10%"},
    },
    "sshtrail:rules:groups": {
        **{"ssh_commands": True, "ssh_config": True, "cis": False},
        "crontab": {"title": "Changes of jobs", "controls": ["our own"], "rules": ["-w /etc/crontab -p wa -k jobs"]},
    },
    "sshtrail:rules:allowed": ["-a never,exit -F arch=b64 -S adjtimex -F auid=unset -F uid=_chrony"],
    "sshtrail:rules:status": {"enabled": 1, "backlog_limit": 8192, "rate_limit": 0, "failure": 1},
    "sshtrail:proof:account": "sshtrail-proof",
}
BEGINNING = """\
# Every key of the pillar, made from the code by bin/release: what it means, what it takes, its default or an example.
# What you do not need, leave out. All of these may stand in a layer of sshtrail:layers too, but for the first two.
"""
WIDTH = 118


def example():
    """Return a pillar with every key (str): the file pillar.example."""
    use_library()
    from sshtrail_lib.policy import schema

    return BEGINNING + "\n".join([f"{schema.KEY}:", *_example(schema.POLICY, [], schema.DEFAULTS), ""])


def _example(wanted, above, defaults):
    for name, key in wanted.items():
        indent, path = "  " * (len(above) + 1), [*above, name]
        if isinstance(key, dict):
            yield f"{indent}{name}:"
            yield from _example(key, path, defaults)
            continue
        found = default(defaults, path)
        told = f"{key.means} Takes {key.kind.takes}." + (f" Default: {written(found)}." if found is not None else "")
        yield from textwrap.wrap(told, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
        yield from _value(name, EXAMPLES.get(":".join(["sshtrail", *path]), found), indent)


def _value(name, value, indent):
    import salt.utils.yaml

    text = salt.utils.yaml.safe_dump({name: value}, default_flow_style=False, sort_keys=False, width=WIDTH)
    return [f"{indent}{line}" for line in text.splitlines()]
