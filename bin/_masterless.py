"""
A host without a master: whose policy applies to it, and its own Salt, which is configured for a moment and asked.

Standard library only.
"""

import glob
import json
import os
import re
import socket
import subprocess
import tempfile

import _prepare

PILLAR = os.path.join(_prepare.ROOT, "pillar")
COMMON, DEFAULT = "common", "prod"
# With wrong arguments salt-call shows the whole page of the function as well.
REFUSED = re.compile(r"(?:Passed invalid arguments: |Error running '[^'\n]*': )(.*)")


def environments():
    """Return the environments that the pillar has (list of str): an SLS each, beside the one for all."""
    found = glob.glob(os.path.join(PILLAR, "sshtrail", "*.sls"))
    found += [os.path.dirname(path) for path in glob.glob(os.path.join(PILLAR, "sshtrail", "*", "init.sls"))]
    return sorted({os.path.basename(path).removesuffix(".sls") for path in found} - {COMMON})


def configure(base, environment):
    """Write a masterless minion's configuration to the directory ``base``; nothing of the host's own Salt is used."""
    write(base, "pillar/top.sls", {"base": {"*": [f"sshtrail.{name}" for name in (COMMON, environment)]}})
    minion = {
        "id": socket.gethostname() or "localhost",
        "root_dir": base,
        "conf_file": os.path.join(base, "conf", "minion"),
        "file_client": "local",
        "file_roots": {"base": [os.path.join(_prepare.ROOT, "salt")]},
        # The first root's top file decides, so the environment comes from the command line alone.
        "pillar_roots": {"base": [os.path.join(base, "pillar"), PILLAR]},
        "module_dirs": [_prepare.ROOT],
        # There is no master whose log would tell what is wrong with a file.
        "pillar_safe_render_error": False,
        "autoload_dynamic_modules": False,
        "enable_fqdns_grains": False,
        "enable_gpu_grains": False,
    }
    write(base, "conf/minion", minion)


def write(base, name, content):
    """Write ``content`` as JSON, which is YAML too, to the file ``name`` below ``base``."""
    path = os.path.join(base, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as handle:
        json.dump(content, handle)


def ask(environment, question):
    """
    Ask the host's own Salt, and return the answer. Raises Failed with what it said instead.

    environment
        Whose policy applies (str).
    question
        The function and its arguments, as for ``salt-call`` (list of str).
    """
    with tempfile.TemporaryDirectory() as base:
        configure(base, environment)
        command = [_prepare.salt_call(), "--local", "--config-dir", os.path.join(base, "conf"), "--log-level", "error"]
        done = subprocess.run([*command, "--out", "json", *question], capture_output=True, text=True, check=False)
    try:
        if done.returncode:
            raise ValueError
        return json.loads(done.stdout)["local"]
    except (ValueError, KeyError, TypeError):
        raise _prepare.Failed(said(done.stdout + done.stderr)) from None


def said(output):
    """Return what salt-call has against a question (str): of an error that is one sentence only that, not its frame."""
    found = REFUSED.search(output)
    # It ends the sentence once more.
    return re.sub(r"\.\.$", ".", found[1]) if found else output.strip()
