"""
SSH audit logging for Salt, as an installed distribution: Salt looks below this package for what it loads.

A package of its own, not a namespace, for salt-ssh: it packs the directory of this file, with all that is in it, for the
hosts (``salt.utils.thin``), and from a package without a file Salt 3008 packs nothing at all, of anybody.
"""

__version__ = "0.1.0"
