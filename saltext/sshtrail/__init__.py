"""
SSH audit logging for Salt, as an installed distribution: Salt looks below this package for what it loads.

A package of its own, not a namespace, for salt-ssh: it packs the directory of this file, with all that is in it, for
its hosts (``salt.utils.thin``), and an extension without such a file breaks Salt 3008's salt-ssh for every host.
"""

__version__ = "0.1.0"
