"""
Have a package installed, as ``pkg.installed`` does, by a package manager that does not hang for ever.

.. code-block:: yaml

    auditd:
      sshtrail_package.installed
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import programs


def installed(name):
    """
    Have a package installed.

    name
        The package's name (str).

    ``changes`` and the comment are those of ``pkg.installed``. A program of the package manager that does not end in
    its time (two minutes where it only tells what is there, half an hour where it installs) is killed: the state fails
    then with a sentence that names it, and the run goes on.

    .. code-block:: yaml

        auditd:
          sshtrail_package.installed
    """
    try:
        with programs.watched("pkg.installed"):
            return __states__["pkg.installed"](name)
    except programs.LateError as exc:
        return {"name": name, "result": False, "changes": {}, "comment": exc.message}


def mod_init(low):
    """
    Have the lists of packages brought up to date once in a run, as for ``pkg.installed`` (bool).

    low
        The state's data (dict), as Salt gives it.
    """
    return __states__["pkg.mod_init"]({**low, "state": "pkg"})
