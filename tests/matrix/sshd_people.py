"""The cases of tests/data/sshd/people.yaml: files, what is asked of them, and what comes of it."""

import yaml
from matrix.sshd_trees import DATA, loaded
from sshtrail_lib.sshd import accounts, guard, plan, wish

CASES = yaml.safe_load((DATA / "people.yaml").read_text())
BASE = "/t"
WHO = accounts.known()._replace(with_shell=["root"], has_key=lambda _account, _words: True)


def placed(value):
    """Return a text, or a structure of them, with the directory in place of "@/"."""
    if isinstance(value, str):
        return value.replace("@/", f"{BASE}/")
    return {key: placed(one) for key, one in value.items()} if isinstance(value, dict) else value


def planned(case, daemon, files=None):
    """Return the Plan of a case for ``daemon``, of the files of the case or of what they became."""
    texts = placed({**case["files"], **(files or {})})
    tree = loaded(daemon, {f"{BASE}/{name}": text.encode() for name, text in texts.items()}, f"{BASE}/sshd_config")
    asked = case["with"]
    if case["state"] == "managed":
        wishes = wish.wishes(asked.get("config"), asked.get("matches"), daemon, asked.get("exact", True))
        wishes += plan.lowering(tree, wishes, shadowed=asked.get("shadowed", "fix"))
    else:
        exact = asked.get("exact", True)
        wishes = [wish.wish(asked["name"], asked.get("value"), daemon, asked.get("match"), exact)]
    done = plan.plan(tree, wishes, asked.get("shadowed", "fix"))
    if done.files and not asked.get("force"):
        guard.judge(done, WHO, asked.get("admins", ()))
    return done


def after(done):
    """Return the files that differ then: ``{name: text}``."""
    return {path.removeprefix(f"{BASE}/"): data.decode() for path, data in done.files.items()}
