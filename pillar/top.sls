# Which environment a host belongs to. The master decides by the minion's id, which it has authenticated;
# never by a grain or a pillarenv, which a host could set itself to get a laxer policy.
# A host that no line names gets prod, the strictest.
base:
  '*':
    - sshtrail.common
  'dev-*':
    - sshtrail.dev
  'staging-*':
    - sshtrail.staging
  'not dev-* and not staging-*':
    - match: compound
    - sshtrail.prod
