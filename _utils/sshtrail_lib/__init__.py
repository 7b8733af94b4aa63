"""
The library: one package, one room for each thing.

Imports go downwards: ``fleet`` and ``drift`` → ``policy`` → the wings ``sshd``, ``auditd`` and ``rules``, which do not
know each other → ``trail`` → ``base``. docs/architecture.md has the picture; tests/unit/test_laws.py holds the laws.
"""
