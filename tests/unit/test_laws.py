"""
The laws of the house, read from every import: what may know what, what may touch the host, and how long things are.
"""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "_utils" / "sshtrail_lib"
SALT = ("_modules", "_states", "_runners", "_returners")
WINGS = ("sshd", "auditd", "rules", "pam")
# Imports go from a higher floor to a lower one, or stay in one package; a wing knows no other wing.
FLOORS = {
    "base": 0,
    "trail": 1,
    **dict.fromkeys(WINGS, 2),
    "policy": 3,
    "coverage": 4,
    "drift": 5,
    "compliance": 6,
    "fleet": 7,
    "page": 8,
}
# What these rooms answer depends on their arguments alone.
PURE = {
    "base": {"text", "state", "merge"},
    "trail": {
        *("audit_log", "sshd_log", "author", "proof"),
        *("moments", "people", "questions", "shown", "export", "notable", "missing"),
        *("session", "told", "scan", "gather", "join", "changes", "kept", "known", "sessions", "weigh"),
    },
    "sshd": {
        *("language", "include", "effective", "keywords", "daemon", "kinds", "values", "amounts", "network", "match"),
        *("wish", "beside", "plan", "edit", "lines", "guard", "sections", "blocks", "places", "commandline"),
        *("members", "asked", "pubkeys", "apart", "separate", "cover", "known", "methods", "commands", "spoken"),
        *("scopes", "exceptions", "placing"),
    },
    "auditd": {"language", "keywords", "plan", "space"},
    "rules": {
        *("language", "words", "fields", "layout", "files", "kept", "overlap", "collisions", "plan", "watches"),
        *("byhand", "splitting"),
    },
    "pam": {"lines", "language", "keywords", "dispatch", "check", "plan", "entrance"},
    "policy": {"controls", "groups", "platforms", "arguments", "needs", "persons", "verdicts", "claims", "kinds"},
    "coverage": {
        *("checks", "daemon", "rules", "people", "memory", "logins", "marks", "gaps", "demand", "serials"),
        *("byhand",),
    },
    "drift": {"difference", "claim", "event", "heartbeat", "answer", "chronicle", "turns"},
    "compliance": {
        *("finding", "demands", "matching", "facts", "rules", "daemons", "modes", "system", "trail", "checks"),
        *("syslog", "rsyslog", "filters", "courses", "offload", "aide", "frameworks", "rows", "formats"),
    },
    "page": {"view", "answers", "charts", "render", "style", "script", "template"},
    "fleet": {"standing", "rollout", "remedy", "vigil", "shapes"},
}
# These ask (accounts, libaudit's tables, whether a directory is there), and change nothing.
ASKING = {
    "trail": {"reader"},
    "sshd": {"accounts", "resolver", "means"},
    "rules": {
        *("compile", "check", "target", "load", "accounts", "wish", "hiding", "privileged", "places", "reading"),
        "remarks",
    },
    "policy": {"pillar", "schema", "host"},
    "coverage": {"facts", "ways", "pulse", "continuity", "volumes", "ids", "shells", "tapped"},
    "drift": {"fingerprint", "report"},
    "compliance": {"demanded", "places", "configs", "sight"},
}
ASKS = {"os", "ctypes", "pwd", "grp", "glob", "stat", "time"}
ACTS = {
    "subprocess",
    "socket",
    "shutil",
    "tempfile",
    "fcntl",
    "signal",
    "psutil",
    "sys",
    "multiprocessing",
    "threading",
}
# The only things of these that are asked with.
QUESTIONS = re.compile(r"socket\.(getaddrinfo|getnameinfo|getservbyname|[A-Z0-9_]+)")
LONGEST_FUNCTION, LONGEST_FILE = 25, 500
TABLES = {"sshd/keywords.py", "auditd/keywords.py", "policy/controls.py", "policy/groups.py"}
OLD_HOUSE = re.compile(
    r"sshtrail_(auditd\w*|author|daemon|drift|event|files|fingerprint|fleet|groups|kernel|log|platforms|policy|remedy"
    r"|rules\w*|sshd\w*|state|store|told)"
)


def rooms():
    """Return ``{(wing, room): path}`` of the library."""
    return {(path.parent.name, path.stem): path for path in LIBRARY.glob("*/*.py") if path.stem != "__init__"}


def thin():
    """Return the files (list of pathlib.Path) that Salt loads."""
    return [path for directory in SALT for path in sorted((ROOT / directory).glob("*.py"))]


def imports(path):
    """Return the names (list of str) that a file imports, each with its package."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import fails where Salt syncs this"
            found += [f"{node.module}.{name.name}" for name in node.names]
    return found


def imported_rooms(path):
    """Return the rooms (list of ``(wing, room)``) that a file imports."""
    words = [name.split(".") for name in imports(path)]
    # What the package itself has is nobody's room.
    return [tuple(word[1:3]) for word in words if word[0] == "sshtrail_lib" and len(word) > 2]


def known(wing, room, *tables):
    return any(room in table.get(wing, ()) for table in tables)


CASES = [pytest.param(*where, path, id="/".join(where)) for where, path in sorted(rooms().items())]


@pytest.mark.parametrize(("wing", "room", "path"), CASES)
def test_imports_go_downwards(wing, room, path):
    for other, name in imported_rooms(path):
        assert other == wing or FLOORS[other] < FLOORS[wing], f"{wing}/{room} imports {other}/{name}"


@pytest.mark.parametrize(("wing", "room", "path"), CASES)
def test_a_pure_room_knows_no_effect(wing, room, path):
    outside = [name for name in imports(path) if not name.startswith("sshtrail_lib.")]
    tops = {name.split(".")[0] for name in outside}
    salt = [name for name in outside if name.startswith("salt") and not name.startswith("salt.exceptions")]
    if known(wing, room, PURE):
        assert not tops & (ASKS | ACTS), f"{wing}/{room} is pure"
        assert not salt, f"{wing}/{room} is pure"
        others = [one for one in imported_rooms(path) if not known(*one, PURE)]
        assert not others, f"{wing}/{room} is pure and imports {others}"
    elif known(wing, room, ASKING):
        acts = {name.split(".")[0] for name in outside if not QUESTIONS.fullmatch(name)} & ACTS
        assert not acts, f"{wing}/{room} only asks"
        assert not [name for name in salt if not name.startswith("salt.utils")], f"{wing}/{room} only asks"


@pytest.mark.parametrize("path", thin(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_salt_loads_is_thin(path):
    tops = {name.split(".")[0] for name in imports(path)}
    assert not tops & (ACTS | {"ctypes", "pwd", "grp", "glob"}), "what acts is in a host room"


def test_every_room_that_a_law_names_is_there():
    named = {(wing, room) for table in (PURE, ASKING) for wing, names in table.items() for room in names}
    assert named <= set(rooms())


def test_the_old_house_is_gone():
    files = [path for top in (*SALT, "_utils", "tests", "bin", "benchmarks") for path in (ROOT / top).rglob("*.py")]
    names = {(str(path.relative_to(ROOT)), name) for path in files for name in imports(path)}
    assert not [found for found in names if OLD_HOUSE.fullmatch(found[1].split(".")[0])]
    assert not [path for path in (ROOT / "_utils").iterdir() if path.suffix == ".py"]


def functions(path):
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)]


def length(node):
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_functions_are_short():
    everything = [*rooms().values(), *thin()]
    found = [(path.name, node.name, length(node)) for path in everything for node in functions(path)]
    assert not [one for one in found if one[2] > LONGEST_FUNCTION]


def test_files_are_short():
    everything = [*rooms().values(), *thin()]
    sizes = {f"{path.parent.name}/{path.name}": len(path.read_text().splitlines()) for path in everything}
    assert not {name: size for name, size in sizes.items() if size > LONGEST_FILE and name not in TABLES}


@pytest.mark.parametrize(("wing", "room", "path"), CASES)
def test_public_functions_tell_their_types(wing, room, path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    public = [node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    for node in public:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        bare = [one.arg for one in arguments if one.annotation is None]
        assert not bare and node.returns is not None, f"{wing}/{room}.{node.name}: {bare or 'what it returns'}"
