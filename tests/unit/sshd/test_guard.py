"""Who is kept out by what; accounts of this host that are always there."""

import pytest
from matrix.sshd_trees import golden, loaded
from sshtrail_lib.sshd import accounts, guard, plan, wish
from sshtrail_lib.sshd.pubkeys import Key

MAIN, DAEMON = "/t/sshd_config", golden("9.2")
OPEN = "PermitRootLogin yes\nUsePAM yes\n"


def judge(config, admins=(), before=OPEN, match=None, who=None):
    tree = loaded(DAEMON, {MAIN: before.encode()}, MAIN)
    wishes = [wish.wish(name, value, DAEMON, match) for name, value in config.items()]
    who = who or accounts.known()
    guard.judge(plan.plan(tree, wishes), who, admins)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"PermitRootLogin": "no"}, "PermitRootLogin no keeps root out .*_config, new line .PermitRootLogin no"),
        ({"AllowUsers": ["r?ot2"]}, "AllowUsers does not hold root"),
        ({"DenyUsers": ["!x", "r*"]}, "DenyUsers holds root"),
        ({"AllowUsers": "root,cloudsdk"}, "AllowUsers does not hold root: sshd takes 'root,cloudsdk' for one name"),
        ({"AllowUsers": ["bob,root"]}, "sshd takes 'bob,root' for one name"),
        ({"AllowGroups": ["root,wheel"]}, "AllowGroups holds no group of root: sshd takes 'root,wheel' for one name"),
        ({"AllowUsers": ["!root"]}, "AllowUsers does not hold root"),
        ({"AllowUsers": ["root@!*"]}, "AllowUsers does not hold root"),
        ({"AllowUsers": ["root@!*,192.0.2.1"]}, "AllowUsers does not hold root"),
        ({"AllowUsers": ["root@127.0.0.1"]}, "AllowUsers does not hold root"),
        ({"AllowUsers": ["root@2001:db8::/32"]}, "AllowUsers does not hold root"),
        ({"AllowUsers": ["root@gate.example.com"]}, "AllowUsers does not hold root"),
        ({"DenyUsers": ["root@*"]}, "DenyUsers holds root .*_config, new line .DenyUsers root@"),
        ({"DenyUsers": ["*@*"]}, "DenyUsers holds root"),
        ({"DenyUsers": ["?oot@0.0.0.0/0,::/0"]}, "DenyUsers holds root"),
        ({"DenyUsers": ["root@0.0.0.0/0"]}, "DenyUsers holds root"),
        ({"DenyUsers": ["root@*.*"]}, "DenyUsers holds root"),
        ({"DenyUsers": ["root@0.0.0.0/1", "root@128.0.0.0/1"]}, "DenyUsers holds root"),
        ({"DenyUsers": ["root@!127.0.0.1,*"]}, "DenyUsers holds root"),
        ({"DenyGroups": ["ro*"]}, "DenyGroups holds a group of root"),
        ({"AllowGroups": ["wheel2"]}, "AllowGroups holds no group of root"),
        ({"ListenAddress": ["127.0.0.1"]}, "no longer listen where it does now"),
        ({"Port": [2222]}, "no longer listen where it does now"),
        ({"MaxSessions": 0}, "MaxSessions 0 lets nobody in .*_config, new line .MaxSessions 0"),
        ({"MaxAuthTries": 0}, "MaxAuthTries 0 lets nobody in"),
        (
            {"PerSourceMaxStartups": 0},
            "PerSourceMaxStartups 0 lets nobody in .*_config, new line .PerSourceMaxStartups 0",
        ),
        ({"AuthenticationMethods": ["publickey:x"]}, "no list of AuthenticationMethods lets root in"),
        ({"AuthenticationMethods": ["keyboard-interactive:bsdauth"]}, "no list of AuthenticationMethods lets root in"),
    ],
)
def test_what_would_lock_root_out(config, words):
    with pytest.raises(guard.LockOutError, match=words):
        judge(config, ["root"])


EVERYBODY = [
    *("User root", "User *", "User !bob,*", "Address *", "Address 0.0.0.0/0", "Address 0.0.0.0/0,::/0", "Address *.*"),
    *(
        "Address 0.0.0.0/1,128.0.0.0/1",
        "Address !127.0.0.1,*",
        "Host *",
        "LocalAddress *",
        "LocalPort 22",
        "Group root",
    ),
    *("all", "Group *", "User root Address *", "LocalAddress 0.0.0.0/0 User r*"),
]
BARS = [
    ("PermitRootLogin", "no"),
    ("DenyUsers", "root"),
    ("AllowGroups", ["wheel2"]),
    ("AuthenticationMethods", "none"),
]


@pytest.mark.parametrize("criteria", EVERYBODY)
@pytest.mark.parametrize(("name", "value"), BARS)
def test_a_match_block_can_do_it_too(criteria, name, value):
    with pytest.raises(guard.LockOutError, match=rf"\(/t/sshd_config, new line '{name} "):
        judge({name: value}, ["root"], match=criteria)


@pytest.mark.parametrize(
    "criteria",
    [
        *("User bob", "User !root,*", "Address 10.0.0.0/8", "Address ::/0", "Address 0.0.0.0/1", "Address 127.0.0.1"),
        *("Host *.example.com", "LocalPort 2222", "LocalAddress 127.0.0.1", "Group wheel2", "User root Address 10.*"),
    ],
)
def test_a_match_block_that_leaves_a_way(criteria):
    judge({"PermitRootLogin": "no"}, ["root"], match=criteria)


KEYED = guard.Accounts(["root"], lambda _account, _words: True)
ONLY_WAYS = [
    *("Address 10.0.0.0/8", "Address 10.*", "Address 10.1.2.3", "Address 2001:db8::/32", "Address 10.0.0.0/8,::1"),
    *("User root", "Group root", "Address 10.0.0.0/8 User root", "LocalPort 22", "LocalAddress 192.0.2.9", "Host 10.*"),
    *("Address 127.0.0.1", "LocalAddress 127.0.0.0/8", "Address !10.0.0.1,10.0.0.0/8"),
]


@pytest.mark.parametrize("criteria", ONLY_WAYS)
def test_the_last_way_in_may_be_a_match_block(criteria):
    before = f"PermitRootLogin no\nUsePAM yes\nMatch {criteria}\nPermitRootLogin yes\n"
    with pytest.raises(guard.LockOutError, match="lock out root"):
        judge({"PermitRootLogin": None}, ["root"], before, criteria, KEYED)
    judge({"PermitRootLogin": "prohibit-password"}, ["root"], before, criteria, KEYED)


NO_PASSWORD = "PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"


@pytest.mark.parametrize(
    ("before", "config", "line"),
    [
        (NO_PASSWORD, {"AuthorizedKeysFile": "none"}, "AuthorizedKeysFile none"),
        (NO_PASSWORD, {"AuthorizedKeysFile": "/none/%u"}, "AuthorizedKeysFile /none/%u"),
        (
            f"{NO_PASSWORD}AuthenticationMethods publickey\n",
            {"PubkeyAuthentication": "no", "AuthenticationMethods": None},
            "PubkeyAuthentication no",
        ),
        ("AllowUsers root@10.0.0.0/8\n", {"DenyUsers": ["root@10.0.0.0/8"]}, "DenyUsers root@10"),
        ("AllowUsers root@10.0.0.0/8 root@::/0\n", {"DenyUsers": ["root@10.*"]}, "DenyUsers root@10"),
    ],
)
def test_the_line_that_does_it_is_named(before, config, line):
    who = guard.Accounts(["root"], lambda _account, words: ".ssh/authorized_keys" in words)
    with pytest.raises(guard.LockOutError, match=rf"lock out root: .*, new line .{line}"):
        judge(config, ["root"], before, who=who)


def test_a_line_is_named_as_it_stands_now():
    """What is there keeps its number, whatever comes before it; what would be new has none yet."""
    text = "UsePAM yes\nMatch User root\nPermitRootLogin yes\nMatch Host *\nPermitRootLogin no\n"
    tree = loaded(DAEMON, {MAIN: text.encode()}, MAIN)
    asked = [
        ("LogLevel", "VERBOSE", None),
        ("MaxSessions", "3", None),
        ("X11Forwarding", "yes", None),
        ("PermitRootLogin", None, "User root"),
    ]
    done = plan.plan(tree, [wish.wish(name, value, DAEMON, match) for name, value, match in asked])
    assert done.files[MAIN].splitlines().index(b"PermitRootLogin no") == 5
    with pytest.raises(guard.LockOutError, match=r"keeps root out \(/t/sshd_config:5: PermitRootLogin no\); force"):
        guard.judge(done, KEYED, ["root"])


def test_without_any_file_for_keys_nobody_comes_in_by_one():
    with pytest.raises(guard.LockOutError, match="AuthorizedKeysFile none"):
        judge({"AuthorizedKeysFile": "none"}, before=NO_PASSWORD)


def test_one_of_two_ways_may_go():
    before = "PermitRootLogin no\nUsePAM yes\n" + "".join(
        f"Match Address {block}\nPermitRootLogin yes\n" for block in ("10.0.0.0/8", "192.168.0.0/16")
    )
    judge({"PermitRootLogin": None}, ["root"], before, "Address 10.0.0.0/8")


def test_the_name_of_a_client_counts_with_usedns_only():
    named = {"AllowUsers": ["root@gate.example.com"]}
    judge(named, ["root"], OPEN + "UseDNS yes\n")
    with pytest.raises(guard.LockOutError, match="AllowUsers does not hold root"):
        judge({"UseDNS": "no"}, ["root"], OPEN + "UseDNS yes\nAllowUsers root@gate.example.com\n")


def test_root_under_another_name_is_root():
    who = guard.Accounts(["toor"], lambda _account, _words: True, lambda name: name == "toor")
    with pytest.raises(guard.LockOutError, match="PermitRootLogin no keeps toor out"):
        judge({"PermitRootLogin": "no"}, ["toor"], who=who)


@pytest.mark.parametrize(
    ("config", "before"),
    [
        ({"AllowUsers": ["root@192.0.2.1"]}, OPEN),
        ({"DenyUsers": ["root@192.0.2.1"]}, OPEN),
        ({"DenyUsers": ["!x,r*"]}, OPEN),
        ({"DenyUsers": ["root,games"]}, OPEN),
        ({"DenyGroups": ["root,games"]}, OPEN),
        ({"DenyUsers": ["root@::/0"]}, OPEN),
        ({"DenyUsers": ["root@!10.0.0.1,*"]}, OPEN + "ListenAddress 10.0.0.9\n"),
        ({"AllowUsers": ["root@10.0.0.0/8,192.168.*"]}, OPEN),
        ({"AllowUsers": ["root,x", "root"]}, OPEN),
        ({"AllowUsers": "root cloudsdk"}, OPEN),
        ({"DenyUsers": ["root"]}, "PermitRootLogin no\n"),
        ({"ListenAddress": ["0.0.0.0"]}, OPEN + "ListenAddress 127.0.0.1\n"),
        ({"ListenAddress": ["0.0.0.0"]}, OPEN + "ListenAddress 10.0.0.1\nListenAddress ::1\n"),
        ({"ListenAddress": ["::"]}, OPEN + "ListenAddress ::1\n"),
        ({"ListenAddress": None}, OPEN + "ListenAddress 127.0.0.1\n"),
        ({"ListenAddress": ["0.0.0.0:2222"]}, OPEN + "ListenAddress 127.0.0.1:2222\n"),
        ({"AddressFamily": "inet"}, OPEN),
        ({"AddressFamily": "any"}, OPEN + "AddressFamily inet6\n"),
        ({"PermitRootLogin": "no"}, "PermitRootLogin forced-commands-only\n"),
        ({"Port": [22, 2222]}, OPEN),
        ({"LogLevel": "VERBOSE"}, OPEN),
    ],
)
def test_what_would_not(config, before):
    judge(config, ["root"], before)


ED, RSA = Key("ssh-ed25519"), Key("ssh-rsa", 2048)
ONLY_KEYS = "PermitRootLogin yes\nUsePAM yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
ONLY_CERTIFICATES = ONLY_KEYS + "AuthorizedKeysFile none\nTrustedUserCAKeys /ca\n"


def holders(*keys, **options):
    """Return Accounts with root alone, which has ``keys``, and what else is told of it."""
    there = {"is_file": lambda path: path.startswith("/bin/"), "runs": lambda _account, path: path.startswith("/bin/")}
    told = {"keys": lambda _account, _words: keys, **there, **options}
    return guard.Accounts(["root"], lambda _account, words: words != ["none"], **told)


HARMLESS = {"LogLevel": "VERBOSE", "MaxAuthTries": "4", "PermitRootLogin": "prohibit-password"}
REDHAT = ONLY_KEYS + "GSSAPIAuthentication yes\nGSSAPICleanupCredentials no\n"
ORDINARY = [
    (HARMLESS, REDHAT, {}, [Key("ssh-ed25519")]),
    ({"GSSAPIAuthentication": "no"}, REDHAT, {}, [Key("ssh-ed25519")]),
    ({**HARMLESS, "AuthenticationMethods": "publickey"}, REDHAT, {}, [Key("ssh-ed25519")]),
    # With a password, and PAM that asks for it.
    ({"PubkeyAuthentication": "no"}, OPEN + "KbdInteractiveAuthentication yes\n", {}, []),
    ({"PasswordAuthentication": "no"}, OPEN + "KbdInteractiveAuthentication yes\n", {}, []),
    # A key of its own next to one for backups, and one for backups alone.
    (HARMLESS, ONLY_KEYS, {}, [Key("ssh-rsa", command="/bin/false", shell=False), Key("ssh-ed25519")]),
    (HARMLESS, ONLY_KEYS, {}, [Key("ssh-rsa", command="/bin/rrsync /srv")]),
    # A home of which root knows nothing.
    ({**HARMLESS, "PubkeyAcceptedAlgorithms": "ssh-ed25519,rsa-sha2-512"}, ONLY_KEYS, {}, [Key()]),
]
COMMANDS = [
    ("/usr/bin/sss_ssh_authorizedkeys", "nobody"),
    ("/usr/bin/google_authorized_keys", "root"),
    ("/usr/share/ec2-instance-connect/eic_run_authorized_keys %u %f", "ec2-instance-connect"),
    ("/usr/bin/userdbctl ssh-authorized-keys %u", "root"),
]
ORDINARY += [
    (
        {**HARMLESS, "PubkeyAuthentication": "yes", "AuthorizedKeysFile": "none"},
        f"{ONLY_KEYS}AuthorizedKeysCommand {command}\nAuthorizedKeysCommandUser {user}\n",
        {},
        [],
    )
    for command, user in COMMANDS
]


@pytest.mark.parametrize(("config", "before", "options", "keys"), ORDINARY)
def test_ordinary_hosts(config, before, options, keys):
    for password in (True, False):
        told = {"has_password": lambda _account, has=password: has, **options}
        if password or keys or "Command" in before:
            judge(config, ["root"], before, who=holders(*keys, **told))


@pytest.mark.parametrize(
    ("config", "listens"),
    [
        ({"ListenAddress": ["0.0.0.0"]}, ["::1"]),
        ({"ListenAddress": ["::"]}, ["127.0.0.1"]),
        ({"ListenAddress": ["0.0.0.0:2222"]}, ["127.0.0.1"]),
        ({"ListenAddress": ["127.0.0.1"]}, ["127.0.0.1", "10.0.0.1"]),
        ({"ListenAddress": ["10.0.0.2"]}, ["10.0.0.1"]),
        ({"ListenAddress": ["::"]}, []),
        ({"AddressFamily": "inet6"}, []),
    ],
)
def test_where_nobody_would_arrive(config, listens):
    before = OPEN + "".join(f"ListenAddress {one}\n" for one in listens)
    with pytest.raises(guard.LockOutError, match="no longer listen where it does now"):
        judge(config, ["root"], before)


#: An account of a cloud's image: a key, and no password; and what its last way in is then.
CLOUD = guard.Accounts(
    ["root"],
    lambda _account, words: ".ssh/authorized_keys" in words,
    has_password=lambda _account: False,
    is_locked=lambda _account: True,
    is_file=lambda path: path == "/there",
)
KEYS_ONLY = "PermitRootLogin yes\nUsePAM yes\nKbdInteractiveAuthentication no\n"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"UsePAM": "no"}, "password of root is locked, and without PAM sshd lets .*, new line .UsePAM no"),
        ({"UsePAM": None}, "password of root is locked, and without PAM sshd lets .* would be sshd's default"),
        ({"PubkeyAuthentication": "no"}, "neither a password nor a key .*PubkeyAuthentication no"),
        ({"AuthorizedKeysFile": ["/etc/keys/%u"]}, "neither a password nor a key .*AuthorizedKeysFile /etc/keys/%u"),
        ({"AuthenticationMethods": ["password"]}, "no list of AuthenticationMethods lets root in"),
        ({"RevokedKeys": "/none"}, "neither a password nor a key .*RevokedKeys /none"),
    ],
)
def test_the_key_of_an_account_without_a_password_is_its_last_way(config, words):
    with pytest.raises(guard.LockOutError, match=f"lock out root: .*{words}"):
        judge(config, ["root"], KEYS_ONLY, who=CLOUD)


def test_what_is_left_of_such_an_account():
    judge({"PasswordAuthentication": "no", "RevokedKeys": "/there"}, ["root"], KEYS_ONLY, who=CLOUD)
    judge({"RevokedKeys": "none"}, ["root"], KEYS_ONLY + "RevokedKeys /none\n", who=CLOUD)
    # Another source than the host's own can have a password.
    judge({"AuthorizedKeysFile": ["/etc/keys/%u"]}, before=KEYS_ONLY, who=CLOUD)
    with pytest.raises(guard.LockOutError, match="PermitRootLogin no"):
        judge({"PermitRootLogin": "no"}, ["root"], KEYS_ONLY, who=CLOUD._replace(has_key=lambda *_told: False))
    for who in (CLOUD, CLOUD._replace(has_password=lambda _account: True)):
        with pytest.raises(guard.LockOutError, match="root, the only account that can log in: the password"):
            judge({"UsePAM": "no"}, before=KEYS_ONLY, who=who)
    judge({"UsePAM": "no"}, ["root"], KEYS_ONLY, who=CLOUD._replace(is_locked=lambda _account: False))


def test_an_administrator_without_an_account_yet_is_guarded_too():
    with pytest.raises(guard.LockOutError, match="no-such-account"):
        judge({"AllowUsers": ["root"]}, ["no-such-account"])


KEYLESS = guard.Accounts(["root"], lambda _account, _words: False)


def test_who_there_is_and_who_has_keys_is_handed_in():
    judge({"PasswordAuthentication": "no", "UsePAM": "no"}, who=KEYLESS)
    with pytest.raises(guard.LockOutError, match="neither a password nor a key would let root in"):
        judge({"PasswordAuthentication": "no", "UsePAM": "no"}, ["root"], who=KEYLESS)
    with pytest.raises(guard.LockOutError, match="root, the only account"):
        judge({"PermitRootLogin": "no"}, who=KEYLESS)
    judge({"PermitRootLogin": "no"}, who=KEYLESS._replace(with_shell=["root", "alice"]))


#: What takes the last key or certificate of root, and what leaves it one.
KEYS = [
    ({"PubkeyAcceptedAlgorithms": "ecdsa-sha2-nistp256"}, [ED, RSA], True),
    ({"PubkeyAcceptedAlgorithms": "rsa-sha2-512"}, [ED], True),
    ({"PubkeyAcceptedAlgorithms": "rsa-sha2-512"}, [ED, RSA], False),
    ({"PubkeyAcceptedAlgorithms": "rsa-sha2-512"}, [ED, Key()], False),
    ({"PubkeyAcceptedAlgorithms": "ssh-ed25519"}, [RSA], True),
    ({"StrictModes": "yes"}, [ED._replace(safe=False)], None),
    ({"AuthorizedKeysFile": "none"}, [ED], True),
]


@pytest.mark.parametrize("admins", [["root"], []])
@pytest.mark.parametrize(("config", "keys", "lost"), KEYS)
def test_the_last_key(config, keys, lost, admins):
    before = ONLY_KEYS + ("StrictModes no\n" if lost is None else "")
    if lost is False:
        judge(config, admins, before, who=holders(*keys))
        return
    with pytest.raises(
        guard.LockOutError, match=f"lock out root.*: neither a password nor a key .*{next(iter(config))}"
    ):
        judge(config, admins, before, who=holders(*keys))
    # With another way in it may go, and what was none before is none to lose.
    judge(config, admins, before.replace("PasswordAuthentication no", "PasswordAuthentication yes"), who=holders(*keys))
    judge({**config, "LogLevel": "INFO"}, admins, before + "DenyUsers root\n", who=holders(*keys))


OPENS_NOTHING = [
    ED._replace(command="/bin/false", shell=False),
    ED._replace(sources="192.168.0.*,10.1.2.3"),
    ED._replace(sources="gate.example.com"),
    ED._replace(sources="!10.0.0.1,"),
]


@pytest.mark.parametrize("key", OPENS_NOTHING)
def test_a_key_that_opens_nothing_is_no_way_in(key):
    """Nobody comes in with it, so that the other one is the last; a pattern of addresses that is not let in is none."""
    allowed = ONLY_KEYS + "AllowUsers root@172.16.0.0/12\n"
    who = holders(key, RSA._replace(blob="R"), revoked=lambda _path: ["R"])
    with pytest.raises(guard.LockOutError, match="neither a password nor a key .*RevokedKeys /bin/all"):
        judge({"RevokedKeys": "/bin/all"}, ["root"], allowed, who=who)
    judge({"RevokedKeys": "/bin/all"}, ["root"], allowed, who=holders(key, ED, RSA._replace(blob="R")))


def test_from_where_a_key_is_taken_is_a_place_of_its_own():
    who = holders(ED._replace(sources="10.9.9.9"))
    judge({"AllowUsers": ["root@10.0.0.0/8"]}, ["root"], ONLY_KEYS, who=who)
    with pytest.raises(guard.LockOutError, match="AllowUsers does not hold root"):
        judge({"AllowUsers": ["root@192.168.0.0/16"]}, ["root"], ONLY_KEYS, who=who)
    with pytest.raises(guard.LockOutError, match="PubkeyAuthentication no"):
        judge({"PubkeyAuthentication": "no"}, ["root"], ONLY_KEYS, who=who)


def test_an_image_whose_root_is_told_to_come_as_somebody_else():
    keys = {"root": [ED._replace(command="echo no", shell=False)], "ubuntu": [ED]}
    who = guard.Accounts(["root", "ubuntu"], lambda _account, _words: True, keys=lambda account, _words: keys[account])
    for config in ({"AllowUsers": "root"}, {"DenyUsers": "ubuntu"}):
        with pytest.raises(guard.LockOutError, match="ubuntu, the only account that can log in"):
            judge(config, before=ONLY_KEYS, who=who)
    judge({"AllowUsers": "ubuntu"}, before=ONLY_KEYS, who=who)


FORCED = ED._replace(command='sh -c "$SSH_ORIGINAL_COMMAND"')


def test_forced_commands_only():
    """It lets root in by the keys that have a command, whatever that of ForceCommand is."""
    config = {"PermitRootLogin": "forced-commands-only"}
    judge(config, ["root"], ONLY_KEYS, who=holders(FORCED, ED))
    judge(config, ["root"], ONLY_KEYS + "ForceCommand /bin/wrap\n", who=holders(FORCED._replace(shell=False)))
    for keys in ([ED], [FORCED._replace(shell=False), ED], [Key(), ED]):
        with pytest.raises(
            guard.LockOutError, match="PermitRootLogin forced-commands-only keeps root out, which has no"
        ):
            judge(config, ["root"], ONLY_KEYS, who=holders(*keys))
    with pytest.raises(guard.LockOutError, match="neither a password nor a key|keeps root out"):
        judge({"PubkeyAuthentication": "no"}, ["root"], config_line(ONLY_KEYS), who=holders(FORCED))
    judge({"PubkeyAuthentication": "no"}, ["root"], config_line(ONLY_KEYS), who=holders(ED))


def config_line(text):
    return text.replace("PermitRootLogin yes", "PermitRootLogin forced-commands-only")


NO_WAY = [
    ("GSSAPIAuthentication yes", {"PubkeyAuthentication": "no"}, {"has_keytab": lambda: True}),
    ("GSSAPIAuthentication yes", {"AuthenticationMethods": "publickey,gssapi-with-mic"}, {"has_keytab": lambda: True}),
    ("HostbasedAuthentication yes\nIgnoreRhosts no", {"PubkeyAuthentication": "no"}, {"holds": lambda *_told: True}),
    (
        "HostbasedAuthentication yes\nIgnoreRhosts shosts-only",
        {"AuthenticationMethods": "publickey,hostbased"},
        {"holds": lambda _account, files: bool({"%h/.ssh/known_hosts", "%h/.shosts"} & {*files})},
    ),
    ("KbdInteractiveAuthentication yes", {"PubkeyAuthentication": "no"}, {"has_password": lambda _account: True}),
    (
        "KbdInteractiveAuthentication yes",
        {"AuthenticationMethods": "publickey,keyboard-interactive"},
        {"asks_more": lambda service: service == "sshd"},
    ),
    (
        "KbdInteractiveAuthentication yes",
        {"AuthenticationMethods": "publickey,keyboard-interactive:pam"},
        {"has_password": lambda _account: True},
    ),
]


@pytest.mark.parametrize(("lines", "config", "there"), NO_WAY)
def test_a_method_without_what_it_needs_is_no_way_in(lines, config, there):
    """sshd offers it all the same."""
    before = "PermitRootLogin yes\nUsePAM yes\nPasswordAuthentication no\n" + lines + "\n"
    before += "" if "Kbd" in lines else "KbdInteractiveAuthentication no\n"
    lacking = {"has_password": lambda _account: False}
    with pytest.raises(guard.LockOutError, match=f"lock out root: .*{next(iter(config))}"):
        judge(config, ["root"], before, who=holders(ED, **lacking))
    judge(config, ["root"], before, who=holders(ED, **{**lacking, **there}))
    # Nor is it one to lose.
    other = {line.split()[0]: "no" for line in lines.splitlines()[:1]}
    judge(other, ["root"], before, who=holders(ED, **lacking))


ASKED = {"AuthorizedKeysFile": "none", "AuthorizedKeysCommand": "/bin/keys %u", "AuthorizedKeysCommandUser": "root"}
UNKNOWN = [
    ({"AuthorizedKeysFile": ["/keys/%d", ".ssh/authorized_keys"]}, "AuthorizedKeysFile"),
    ({"AuthorizedKeysFile": "/keys/%"}, "AuthorizedKeysFile"),
    ({"AuthorizedKeysFile": "/keys/%%%H"}, "AuthorizedKeysFile"),
    ({**ASKED, "AuthorizedKeysCommand": "/bin/keys %z"}, "AuthorizedKeysFile|AuthorizedKeysCommand"),
    ({**ASKED, "AuthorizedKeysCommand": "/bin/keys %C"}, "AuthorizedKeysFile|AuthorizedKeysCommand"),
    ({**ASKED, "AuthorizedKeysCommandUser": "%h"}, "AuthorizedKeysFile|AuthorizedKeysCommand"),
    ({"AuthorizedKeysFile": "/keys/%d", **{key: ASKED[key] for key in (*ASKED,)[1:]}}, "AuthorizedKeysFile"),
    ({"ChrootDirectory": "/srv/%d"}, "ChrootDirectory /srv/%d keeps root out: sshd ends at a token"),
]


@pytest.mark.parametrize("admins", [["root"], []])
@pytest.mark.parametrize(("config", "words"), UNKNOWN)
def test_sshd_ends_where_it_does_not_know_a_token(config, words, admins):
    with pytest.raises(guard.LockOutError, match=words):
        judge(config, admins, ONLY_KEYS, who=holders(ED))


@pytest.mark.parametrize(
    "config",
    [
        {"AuthorizedKeysFile": [".ssh/authorized_keys", "/keys/%d"]},
        {"AuthorizedKeysFile": "%h/.ssh/100%%/%u-%U"},
        {**ASKED, "AuthorizedKeysCommand": "/bin/keys %u %U %h %t %k %f %%C"},
        {**ASKED, "AuthorizedKeysCommandUser": "keys-of-%u"},
    ],
)
def test_tokens_that_sshd_knows(config):
    judge(config, ["root"], ONLY_KEYS, who=holders(ED))


def test_tokens_that_newer_releases_know():
    newer = golden("10.0")
    tree = loaded(newer, {MAIN: ONLY_KEYS.encode()}, MAIN)
    asked = {**ASKED, "AuthorizedKeysCommand": "/bin/keys %C %D"}
    guard.judge(
        plan.plan(tree, [wish.wish(name, value, newer) for name, value in asked.items()]), holders(ED), ["root"]
    )


def test_a_command_that_sshd_does_not_run_gives_no_keys():
    served = []
    who = holders(ED, serves=lambda *told: served.append(told) or told[2] == "root")
    judge(ASKED, ["root"], ONLY_KEYS, who=who)
    assert served[0] == ("root", "/bin/keys %u", "root")
    with pytest.raises(guard.LockOutError, match="neither a password nor a key .*AuthorizedKeysFile none"):
        judge({**ASKED, "AuthorizedKeysCommandUser": "nobody"}, ["root"], ONLY_KEYS, who=who)
    before = ONLY_KEYS + "".join(f"{name} {value}\n" for name, value in ASKED.items())
    for match in (None, "User root"):
        with pytest.raises(guard.LockOutError, match="AuthorizedKeysCommandUser nobody"):
            judge({"AuthorizedKeysCommandUser": "nobody"}, ["root"], before, match, who)
    judge({"AuthorizedKeysCommandUser": "nobody"}, ["root"], before, "User bob", who)


def test_files_of_the_whole_host_let_in_no_root():
    asked = []
    who = holders(ED, holds=lambda _account, files: asked.append(files) or True, is_root=lambda _account: False)
    before = ONLY_KEYS + "HostbasedAuthentication yes\nIgnoreUserKnownHosts yes\n"
    judge({"PubkeyAuthentication": "no"}, ["root"], before, who=who)
    system = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]
    assert system in asked and ["/etc/hosts.equiv", "/etc/ssh/shosts.equiv"] in asked
    asked.clear()
    who = holders(ED, holds=lambda _account, files: asked.append(files) or bool(files))
    with pytest.raises(guard.LockOutError, match="neither a password nor a key"):
        judge({"PubkeyAuthentication": "no"}, ["root"], before, who=who)
    judge({"IgnoreRhosts": "no", "PubkeyAuthentication": "no"}, ["root"], before, who=who)
    assert ["%h/.shosts", "%h/.rhosts"] in asked


def test_a_required_size():
    newer = golden("10.0")
    for size, words in (("2049", "RequiredRSASize 2049"), ("2048", None)):
        tree = loaded(newer, {MAIN: ONLY_KEYS.encode()}, MAIN)
        done = plan.plan(tree, [wish.wish("RequiredRSASize", size, newer)])
        if words is None:
            guard.judge(done, holders(RSA), ["root"])
            continue
        with pytest.raises(guard.LockOutError, match=words):
            guard.judge(done, holders(RSA), ["root"])
        guard.judge(done, holders(RSA, ED), ["root"])


def test_a_key_that_is_revoked():
    who = holders(ED._replace(blob="AAAA"), revoked=lambda path: ["AAAA"] if path == "/bin/all" else ["BBBB"])
    with pytest.raises(guard.LockOutError, match="neither a password nor a key .*RevokedKeys /bin/all"):
        judge({"RevokedKeys": "/bin/all"}, ["root"], ONLY_KEYS, who=who)
    judge({"RevokedKeys": "/bin/some"}, ["root"], ONLY_KEYS, who=who)
    with pytest.raises(guard.LockOutError, match="RevokedKeys /bin/some"):
        judge({"RevokedKeys": "/bin/some"}, ["root"], ONLY_KEYS, who=who._replace(revoked=lambda _path: None))


AUTHORITY = ED._replace(authority=True)


@pytest.mark.parametrize(
    ("config", "options", "lost"),
    [
        ({"CASignatureAlgorithms": "rsa-sha2-512"}, {}, True),
        ({"CASignatureAlgorithms": "ssh-ed25519"}, {}, False),
        ({"PubkeyAcceptedAlgorithms": "ssh-ed25519"}, {}, True),
        ({"PubkeyAcceptedAlgorithms": "ssh-ed25519-cert-v01@openssh.com"}, {}, False),
        ({"TrustedUserCAKeys": "/other"}, {}, True),
        ({"TrustedUserCAKeys": None}, {}, True),
        ({"AuthorizedPrincipalsFile": "/none/%u"}, {"principals": lambda *_told: ()}, True),
        ({"AuthorizedPrincipalsFile": "/none/%d"}, {}, True),
        # Whose names were taken, and whose are then.
        ({"AuthorizedPrincipalsFile": "/there"}, {"principals": lambda *_told: ["ops"]}, True),
        ({"AuthorizedPrincipalsFile": "/there"}, {"principals": lambda *_told: ["ops", "root"]}, False),
        ({"AuthorizedPrincipalsCommand": "/bin/names", "AuthorizedPrincipalsCommandUser": "root"}, {}, False),
        (
            {"AuthorizedPrincipalsCommand": "/bin/names", "AuthorizedPrincipalsCommandUser": "root"},
            {"serves": lambda *_told: False},
            True,
        ),
        (
            {"AuthorizedPrincipalsCommand": "/bin/names %z", "AuthorizedPrincipalsCommandUser": "root"},
            {},
            True,
        ),
        ({"AuthorizedPrincipalsFile": "/there/%u"}, {}, False),
        ({"AuthorizedKeysFile": ".ssh/authorized_keys"}, {}, False),
    ],
)
def test_the_last_certificate(config, options, lost):
    who = holders(**{"authorities": lambda path: [AUTHORITY] if path == "/ca" else [], **options})
    if not lost:
        judge(config, ["root"], ONLY_CERTIFICATES, who=who)
        return
    with pytest.raises(guard.LockOutError, match=rf"neither a password nor a key .*{next(iter(config))}"):
        judge(config, ["root"], ONLY_CERTIFICATES, who=who)


def test_a_certificate_counts_that_counted_before():
    """An authority may have signed for anybody; that it did nobody knows but who comes in with its certificate."""
    names = {"/ops": ["ops", "dba"], "/dba": ["dba"], "/web": ["web"]}
    one, other = (AUTHORITY._replace(blob=blob) for blob in ("A", "B"))
    found = {"/ca": [one], "/both": [other, one], "/new": [other]}
    who = holders(
        ED, authorities=lambda path: found.get(path, ()), principals=lambda _account, path, _strict: names.get(path, ())
    )
    alone = {"AuthorizedKeysFile": "none"}
    trusting = ONLY_KEYS + "TrustedUserCAKeys /ca\n"
    judge(alone, ["root"], trusting, who=who)
    judge({**alone, "TrustedUserCAKeys": "/both"}, ["root"], trusting, who=who)
    # With the key that is left they can be tried.
    judge({"TrustedUserCAKeys": "/new", "AuthorizedPrincipalsFile": "/web"}, ["root"], trusting, who=who)
    judge(
        {"AuthorizedPrincipalsFile": "/dba", **alone}, ["root"], trusting + "AuthorizedPrincipalsFile /ops\n", who=who
    )
    for config, before in (
        ({"TrustedUserCAKeys": "/ca", **alone}, ONLY_KEYS),
        ({"TrustedUserCAKeys": "/new", **alone}, trusting),
        ({"AuthorizedPrincipalsFile": "/ops", **alone}, trusting),
        ({"AuthorizedPrincipalsFile": "/web", **alone}, trusting + "AuthorizedPrincipalsFile /ops\n"),
    ):
        for admins in (["root"], []):
            with pytest.raises(guard.LockOutError, match="only those certificates count that sshd takes now"):
                judge(config, admins, before, who=who)


@pytest.mark.parametrize(
    ("command", "lost"),
    [
        *((command, True) for command in ("/bin/false", "/usr/sbin/nologin", "internal-sftp", "internal-sftp -l INFO")),
        *((command, True) for command in ("exec /bin/false", "A=1 true", "/usr/lib/openssh/sftp-server", "/none/wrap")),
        *((command, True) for command in ("echo no logins here", "cat /etc/motd", "exit 1", '"/bin/false"')),
        *((command, True) for command in ('echo "no shell"; exit 1', "/bin/echo 'maintenance; come back later'")),
        *((command, False) for command in ("none", "/bin/wrap", "exec /bin/wrap -x", "wrap", 'echo hi; exec "$SHELL"')),
        *((command, False) for command in ('${SSH_ORIGINAL_COMMAND:-"$SHELL" -l}', "/bin/$USER", "sh -c x")),
    ],
)
def test_a_command_instead_of_the_shell(command, lost):
    for match in (None, "User root", "Address *"):
        if not lost:
            judge({"ForceCommand": command}, ["root"], who=holders(ED), match=match)
            continue
        with pytest.raises(guard.LockOutError, match="root gets no shell .*ForceCommand"):
            judge({"ForceCommand": command}, ["root"], who=holders(ED), match=match)
    judge({"ForceCommand": command}, ["root"], who=holders(ED), match="Group sftponly")


def test_a_directory_of_its_own():
    who = holders(ED, cage=lambda account, path: f"{path} is not there" if path.startswith("/none") else None)
    with pytest.raises(guard.LockOutError, match="ChrootDirectory /none/%u keeps root out: /none/%u is not there"):
        judge({"ChrootDirectory": "/none/%u"}, ["root"], who=who)
    judge({"ChrootDirectory": "/srv"}, ["root"], who=who)
    judge({"ChrootDirectory": "none"}, ["root"], OPEN + "ChrootDirectory /none\n", who=who)


HOST_KEYS = {"/ed": ED, "/rsa": RSA, "/odd": Key()}


@pytest.mark.parametrize(
    ("config", "keys", "lost"),
    [
        ({"HostKeyAlgorithms": "rsa-sha2-512"}, "/ed", True),
        ({"HostKeyAlgorithms": "rsa-sha2-512"}, "/ed /rsa", False),
        ({"HostKeyAlgorithms": "rsa-sha2-512"}, "/odd", False),
        ({"HostKeyAlgorithms": "ssh-rsa"}, "/rsa", True),
        ({"HostKeyAlgorithms": "ssh-rsa,rsa-sha2-256"}, "/rsa", False),
        ({"HostKeyAlgorithms": "rsa-sha2-512"}, "/none", False),
        ({"HostKeyAlgorithms": "ssh-ed25519"}, "/rsa", True),
        ({"HostKey": ["/none"]}, "/ed", True),
        ({"HostKey": ["/rsa"]}, "/ed", False),
    ],
)
def test_the_last_key_of_the_host(config, keys, lost):
    before = OPEN + "".join(f"HostKey {one}\n" for one in keys.split())
    who = holders(ED, host_key=HOST_KEYS.get)
    if not lost:
        judge(config, ["root"], before, who=who)
        return
    with pytest.raises(guard.LockOutError, match=f"No key of this host would be left .*{next(iter(config))}"):
        judge(config, ["root"], before, who=who)


SPOKEN = [
    ({"Ciphers": "3des-cbc"}, "", "Ciphers"),
    ({"Ciphers": "aes256-cbc,aes128-cbc"}, "", "Ciphers"),
    ({"Ciphers": "3des-cbc,aes128-ctr"}, "", None),
    ({"Ciphers": "-aes*"}, "", None),
    ({"Ciphers": "3des-cbc"}, "Ciphers aes128-cbc\n", None),
    ({"KexAlgorithms": "diffie-hellman-group1-sha1"}, "", "KexAlgorithms"),
    ({"KexAlgorithms": "curve25519-sha256"}, "", None),
    ({"KexAlgorithms": "sntrup761x25519-sha512@openssh.com"}, "", None),
    ({"MACs": "hmac-md5"}, "", None),
    ({"MACs": "hmac-md5"}, "Ciphers aes256-ctr\n", "MACs"),
    ({"MACs": "hmac-sha2-512-etm@openssh.com"}, "Ciphers aes256-ctr\n", None),
    ({"Ciphers": "aes256-ctr"}, "MACs hmac-md5\n", "MACs"),
    ({"LogLevel": "DEBUG"}, "Ciphers 3des-cbc\n", None),
]


@pytest.mark.parametrize(("config", "before", "lost"), SPOKEN)
def test_what_no_client_speaks(config, before, lost):
    if lost is None:
        judge(config, ["root"], OPEN + before)
        return
    with pytest.raises(guard.LockOutError, match=f"No client of today speaks any of what {lost} would leave .*{lost} "):
        judge(config, ["root"], OPEN + before)


def test_who_has_keys_in_files_counts_where_anybody_has():
    """Where no file holds a key, they come from elsewhere."""
    only = {"alice": [ED]}
    who = guard.Accounts(
        ["root", "alice"],
        lambda account, words: words == [".ssh/authorized_keys"] and account in only,
        keys=lambda account, _words: only.get(account, ()),
    )
    before = ONLY_KEYS + "AuthorizedKeysFile .ssh/authorized_keys\n"
    with pytest.raises(
        guard.LockOutError, match="alice, the only account that can log in.*AuthorizedKeysFile /etc/none"
    ):
        judge({"AuthorizedKeysFile": "/etc/none"}, before=before, who=who)
    with pytest.raises(guard.LockOutError, match="DenyUsers holds alice"):
        judge({"DenyUsers": ["alice"]}, before=before, who=who)
    judge({"DenyUsers": ["root"]}, before=before, who=who)
    only.clear()
    judge({"AuthorizedKeysFile": "/etc/none"}, before=before, who=who)


@pytest.mark.parametrize(("release", "lost"), [("9.2", True), ("10.0", False)])
def test_a_pattern_of_files_is_one_for_newer_releases(release, lost):
    newer = golden(release)
    tree = loaded(newer, {MAIN: ONLY_KEYS.encode()}, MAIN)
    who = guard.Accounts(
        ["root"], lambda _account, words: words in ([".ssh/authorized_keys", ".ssh/authorized_keys2"], ["/keys/*"])
    )
    done = plan.plan(tree, [wish.wish("AuthorizedKeysFile", ["/keys/*"], newer)])
    if not lost:
        guard.judge(done, who, ["root"])
        return
    with pytest.raises(guard.LockOutError, match="neither a password nor a key would let root in"):
        guard.judge(done, who, ["root"])


def test_thousands_of_accounts_are_not_looked_at_one_by_one():
    """On such a host who has keys is a matter of those who are named."""
    looked = []

    def has_key(account, _words):
        looked.append(account)
        return False

    who = guard.Accounts([f"user{number}" for number in range(2000)], has_key)
    judge({"AuthorizedKeysFile": "/etc/none"}, before=ONLY_KEYS, who=who)
    assert len(looked) <= 2000
