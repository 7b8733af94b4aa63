"""compliance.configs and compliance.places: lines with their places, and files as stat has them."""

import os
import re
import struct
import types

import pytest
from sshtrail_lib.compliance import configs, places, system
from sshtrail_lib.compliance.facts import Grant

from unit.compliance.known import facts


def tree(tmp_path, **files):
    for name, content in files.items():
        path = tmp_path / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


def test_sudoers_are_read_as_sudo_reads_them(tmp_path):
    base = tree(
        tmp_path,
        **{
            "sudoers": f"# a\nDefaults x\n@includedir {tmp_path}/d\n#include {tmp_path}/more\n",
            "d__10-a": "Defaults logfile=/a\n",
            "d__20.rpmsave": "Defaults logfile=/no\n",
            "d__30~": "Defaults logfile=/no\n",
            "more": "Defaults logfile=/b\n",
        },
    )
    found = configs._sudo(str(base / "sudoers"))
    assert [line for _place, line in found if "logfile" in line] == ["Defaults logfile=/a", "Defaults logfile=/b"]
    assert (f"{tmp_path}/d/10-a line 1", "Defaults logfile=/a") in found


def test_a_line_of_sudoers_goes_on_after_a_backslash(tmp_path):
    (tmp_path / "sudoers").write_text("Defaults use_pty, \\\n  logfile=/a\nDefaults x\\\n")
    assert configs._sudo(str(tmp_path / "sudoers")) == (
        (f"{tmp_path}/sudoers line 1", "Defaults use_pty, logfile=/a"),
        (f"{tmp_path}/sudoers line 3", "Defaults x"),
    )


#: What is said in the file and in one beside it, and the log that sudo 1.9.13 has then (cvtsudoers).
SUDO = [
    ("Defaults logfile=/x\n# note \\\nDefaults !logfile", ""),
    ("Defaults logfile=/x # note \\\nDefaults !logfile", ""),
    ("# note \\\nDefaults logfile=/x", "/x"),
    ("Defaults logfile=/x\nroot ALL=(ALL) ALL \\\n\nDefaults !logfile", ""),
    ('Defaults badpass_message="no #", \\\n logfile=/x', "/x"),
    ('@include "more files/a"', "/more"),
    ("@include more\\ files/a", "/more"),
    ("#includedir more\\ files", "/more"),
    ("Defaults logfile=/x\nDefaults logfile=relative", "/x"),
]


@pytest.mark.parametrize(("said", "log"), SUDO)
def test_the_log_that_sudo_has(tmp_path, said, log):
    base = tree(tmp_path, **{"sudoers": f"{said}\n", "more files__a": "Defaults logfile=/more\n"})
    assert system.sudo_logfile(configs._sudo(str(base / "sudoers")))[0] == log


def test_sudoers_that_sudo_refuses_are_there_all_the_same(tmp_path):
    path = tree(tmp_path, sudoers="Defaults logfile=/x\n") / "sudoers"
    path.chmod(0o666)
    assert configs._sudo(str(path)) == () and configs._sudo(str(tmp_path / "nothing")) is None


def test_a_job_of_root_is_found_in_his_crontabs(tmp_path, monkeypatch):
    tree(tmp_path, crontab="# 0 5 * * * root aide --check\n0 5 * * * root /usr/bin/aide.wrapper --check\n")
    real = configs._all
    monkeypatch.setattr(
        configs, "_all", lambda *patterns: real(*(str(tmp_path) + one for one in patterns), f"{tmp_path}/crontab")
    )
    found = configs._jobs(re.compile(r"\baide\b"))
    assert [place for place, _line in found] == [f"{tmp_path}/crontab line 2"]


def test_a_file_that_includes_itself_comes_to_an_end(tmp_path):
    (tmp_path / "sudoers").write_text(f"@include {tmp_path}/sudoers\n")
    assert len(configs._sudo(str(tmp_path / "sudoers"))) < 20
    (tmp_path / "rsyslog.conf").write_text(f"$IncludeConfig {tmp_path}/rsyslog.conf\n")
    assert len(configs._rsyslog(str(tmp_path / "rsyslog.conf"))) < 20


def test_rsyslog_includes_in_both_forms(tmp_path):
    several = f'include( mode="optional" file = "{tmp_path}/e.conf" )\n$IncludeConfig {tmp_path}/f/\n'
    said = f"# no\n$IncludeConfig {tmp_path}/d/*.conf\n{several}"
    base = tree(tmp_path, **{"rsyslog.conf": said, "d__1.conf": "a.* /a\n", "e.conf": "b.* /b\n", "f__1": "c.* /c\n"})
    told = [line for _place, line in configs._rsyslog(str(base / "rsyslog.conf"))]
    assert told[1::2] == ["a.* /a", "b.* /b", "c.* /c"]


def test_an_include_of_rsyslog_s_can_have_several_lines(tmp_path):
    said = f'include (\n  mode="optional"\n\n  file="{tmp_path}/e.conf"\n)\nfile="{tmp_path}/no.conf"\na.* /a\n'
    base = tree(tmp_path, **{"rsyslog.conf": said, "e.conf": "b.* /b\n", "no.conf": "c.* /c\n"})
    told = [line for _place, line in configs._rsyslog(str(base / "rsyslog.conf"))]
    assert [line for line in told if " /" in line] == ["b.* /b", "a.* /a"]


def test_systemd_s_drop_ins_replace_each_other_by_name(tmp_path, monkeypatch):
    tree(
        tmp_path,
        **{
            "usr__journald.conf": "[Journal]\nStorage=auto\n",
            "etc__journald.conf": "[Journal]\n#Storage=auto\n",
            "usr__journald.conf.d__10.conf": "[Journal]\nStorage=none\n",
            "etc__journald.conf.d__10.conf": "[Journal]\nStorage=volatile\n",
            "usr__journald.conf.d__20.conf": "[Journal]\nStorage=persistent\n",
            # Not for it: no heading, or another one.
            "usr__journald.conf.d__30.conf": "Storage=none\n",
            "usr__journald.conf.d__40.conf": "[journal]\nStorage=none\n[Upload]\nStorage=none\n",
        },
    )
    # A link to nowhere takes away what the distribution has.
    (tmp_path / "usr" / "journald.conf.d" / "50.conf").write_text("[Journal]\nStorage=none\n")
    (tmp_path / "etc" / "journald.conf.d" / "50.conf").symlink_to("/dev/null")
    monkeypatch.setattr(configs, "SYSTEMD", (str(tmp_path / "usr"), str(tmp_path / "etc")))
    told = [line for _place, line in configs._systemd("journald.conf", "Journal")]
    assert told == ["#Storage=auto", "Storage=volatile", "Storage=persistent"]
    assert configs._systemd("nothing.conf", "Journal") is None


@pytest.mark.parametrize(
    ("mode", "group", "read"), [(0o440, 0, 1), (0o644, 4, 1), (0o660, 0, 1), (0o660, 4, 0), (0o646, 0, 0)]
)
def test_sudo_reads_no_file_that_others_can_write_to(tmp_path, mode, group, read):
    if os.geteuid():
        pytest.skip("needs root: to give a file to a group")
    base = tree(tmp_path, sudoers=f"@includedir {tmp_path}/d\n", d__more="Defaults logfile=/a\n")
    os.chown(base / "d" / "more", 0, group)
    os.chmod(base / "d" / "more", mode)
    assert len(configs._sudo(str(base / "sudoers"))) == 1 + read


SCRIPTS = [
    ("audit-offload", 0o755, True, True),
    ("audit-offload", 0o644, False, False),
    ("audit-offload.disabled", 0o755, False, True),
    ("audit-offload~", 0o755, False, False),
    ("audit-offload.rpmsave", 0o755, False, False),
]


@pytest.mark.parametrize(("name", "mode", "debian", "other"), SCRIPTS)
def test_a_script_runs_where_run_parts_takes_it(tmp_path, name, mode, debian, other):
    (tmp_path / name).write_text("#!/bin/sh\n")
    os.chmod(tmp_path / name, mode)
    taken = [bool(configs._scripts(names, f"{tmp_path}/*audit*")) for names in configs.RUN_PARTS]
    assert taken == [debian, other]


JOBS = [
    ("0 5 * * * root /usr/bin/aide --check", True),
    ("@daily root aide --check", True),
    ("*/5 1-3 1,2 jan mon root aide --check", True),
    ("MAILTO=aide", False),
    ("PATH = /usr/lib/aide /bin x y z w", False),
    ("# 0 5 * * * root aide --check", False),
    ("0 5 * * * root /usr/bin/aides", False),
]


@pytest.mark.parametrize(("line", "runs"), JOBS)
def test_a_line_of_a_crontab_that_runs_something(monkeypatch, line, runs):
    monkeypatch.setattr(configs, "_all", lambda *patterns: (("/etc/crontab line 1", line),))
    assert bool(configs._jobs(re.compile(r"\baide\b"))) is runs


def test_a_masked_timer_starts_nothing(tmp_path, monkeypatch):
    tree(tmp_path, **{"timers.target.wants__dailyaidecheck.timer": ""})
    monkeypatch.setattr(configs, "UNITS", str(tmp_path))
    assert configs._timers("dailyaidecheck.timer")
    (tmp_path / "dailyaidecheck.timer").symlink_to("/dev/null")
    assert not configs._timers("dailyaidecheck.timer")


def test_chrony_reads_several_directories_whatever_the_size_of_letters(tmp_path):
    base = tree(tmp_path, **{"a__1.conf": "port 0", "b__2.conf": "cmdport 0", "s__1.sources": "server x"})
    (base / "chrony.conf").write_text(f"ConfDir {base}/a {base}/b\nsourcedir {base}/s\n")
    told = [line for _place, line in configs._chrony(str(base / "chrony.conf"))]
    assert told[1:3] == ["port 0", "cmdport 0"] and told[-1] == "server x"


#: What chronyd 4.3 prints of it (chronyd -p), but for the lines that lead elsewhere.
CHRONY = [
    ({"c": "include {d}/m", "m": "include {d}/n", "n": "server deep"}, ["server deep"]),
    ({"c": "confdir {d}/a", "a__x.conf": "confdir {d}/b", "b__y.conf": "server deep"}, ["server deep"]),
    ({"c": "confdir {d}/b {d}/a", "a__x.conf": "server no", "b__x.conf": "server x", "a__a.conf": "port 0"},
     ["port 0", "server x"]),
    ({"c": "confdir {d}/a\nconfdir {d}/b", "a__x.conf": "server one", "b__x.conf": "server two"},
     ["server one", "server two"]),
    ({"c": "include {d}/*.inc", "b.inc": "port 0", "a.inc": "server x"}, ["server x", "port 0"]),
    # Of a file of sources nothing else is taken.
    ({"c": "sourcedir {d}/a", "a__x.sources": "port 0\nSERVER x\nserverx y", "a__x.conf": "server no"}, ["SERVER x"]),
    ({"c": "include {d}/c\nserver x"}, ["server x"] * 11),
]  # fmt: skip


@pytest.mark.parametrize(("files", "told"), CHRONY)
def test_what_chrony_reads(tmp_path, files, told):
    base = tree(tmp_path, **{name: said.replace("{d}", str(tmp_path)) for name, said in files.items()})
    led = ("include", "confdir", "sourcedir")
    assert [line for _place, line in configs._chrony(str(base / "c")) if not line.startswith(led)] == told


def test_boot_entries_with_their_kernel_lines(tmp_path, monkeypatch):
    tree(
        tmp_path,
        **{
            "grub.cfg": "menuentry x {\n linux /vmlinuz root=x audit=1 quiet\n linux /vmlinuz single audit=0\n}\n"
            " linux16 /boot/memtest86+.bin\n\tlinux /memtest86+x64.efi console=ttyS0\n linux /vmlinuz ro recovery\n"
            " linux /vmlinuz root=LABEL=recovery\n",
            "entries__a.conf": "title x\noptions root=x\noptions audit=1\n",
        },
    )
    monkeypatch.setattr(configs, "BOOT", (f"{tmp_path}/grub.cfg", f"{tmp_path}/entries/*.conf"))
    assert configs.boot_entries() == {
        f"{tmp_path}/grub.cfg line 2": ("/vmlinuz", "root=x", "audit=1", "quiet"),
        f"{tmp_path}/grub.cfg line 8": ("/vmlinuz", "root=LABEL=recovery"),
        f"{tmp_path}/entries/a.conf line 2": ("root=x", "audit=1"),
    }


def test_a_file_is_told_as_stat_has_it(tmp_path):
    path = tmp_path / "x"
    path.write_text("")
    os.chmod(path, 0o2640)
    found = places.file(str(path))
    assert found.mode == 0o2640 and (found.owner, found.group) == (path.owner(), path.group())
    assert places.file(str(tmp_path / "nothing")) is None


def acl(*entries):
    """Return the bytes that the kernel keeps an access control list as; each entry is (tag, bits, number)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *one) for one in entries)


USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER, NONE = 1, 2, 4, 8, 0x10, 0x20, 0xFFFFFFFF
LISTS = [
    ([(USER, 6, 1), (MASK, 7, NONE)], (Grant("user", "daemon", 6),)),
    # The mask limits what is given.
    ([(USER, 6, 1), (GROUP, 7, 4), (MASK, 4, NONE)], (Grant("user", "daemon", 4), Grant("group", "adm", 4))),
    ([(USER, 6, 1), (MASK, 0, NONE)], ()),
    ([(USER, 4, 4711), (MASK, 7, NONE)], (Grant("user", "4711", 4),)),
]


@pytest.mark.parametrize(("named", "grants"), LISTS)
def test_an_access_control_list_is_told_as_the_kernel_applies_it(tmp_path, named, grants):
    path = tmp_path / "x"
    path.write_text("")
    entries = [(USER_OBJ, 6, NONE), *named[:-1], (GROUP_OBJ, 4, NONE), named[-1], (OTHER, 0, NONE)]
    try:
        os.setxattr(path, "system.posix_acl_access", acl(*sorted(entries, key=lambda one: (one[0], one[2]))))
    except OSError as exc:
        pytest.skip(f"this file system has no access control lists: {exc}")
    assert places.file(str(path)).grants == grants


ABOVE = [(0o755, ""), (0o777, "d"), (0o1777, ""), (0o775, "")]


@pytest.mark.parametrize(("mode", "told"), ABOVE)
def test_a_directory_that_others_can_write_to_is_told(tmp_path, mode, told):
    if os.geteuid():
        pytest.skip("needs root: its own directories are another's otherwise")
    path = tree(tmp_path, d__e__x="") / "d" / "e" / "x"
    os.chmod(tmp_path / "d", mode)
    assert places.file(str(path)).above == (f"{tmp_path}/d" if told else "")
    (tmp_path / "link").symlink_to(path)
    assert places.file(str(tmp_path / "link")).above == (f"{tmp_path}/d" if told else "")


def test_another_name_for_root_s_number_is_root_all_the_same(tmp_path, monkeypatch):
    if os.geteuid():
        pytest.skip("needs root: a file of root's")
    (tmp_path / "x").write_text("")
    monkeypatch.setattr(places.directory.pwd, "getpwuid", lambda uid: types.SimpleNamespace(pw_name="toor"))
    monkeypatch.setattr(places.directory.grp, "getgrgid", lambda gid: types.SimpleNamespace(gr_name="wheel"))
    assert places.file(str(tmp_path / "x"))[1:3] == ("root", "root")


def test_what_a_link_leads_to_is_part_of_the_configuration(tmp_path):
    base = tree(
        tmp_path, **{"audit__auditd.conf": ""}, more="", **{"log__audit.log": ""}, log__other="", log__deep__x=""
    )
    (base / "audit" / "rules.d").mkdir()
    (base / "audit" / "rules.d" / "10-more.rules").symlink_to(base / "more")
    (base / "audit" / "rules.d" / "20-gone.rules").symlink_to(base / "nothing")
    paths = (
        "/x",
        [str(base / "more")],
        f"{base}/audit/auditd.conf",
        f"{base}/audit/rules.d/zz",
        f"{base}/log/audit.log",
    )
    found = places.files(*paths)
    assert f"{base}/audit/rules.d/10-more.rules" in found["audit config"]
    assert list(found["sshd config"]) == [str(base / "more")]
    # Whatever is in the logs' own directory is one of them.
    assert f"{base}/log/other" in found["audit logs"]


def test_of_two_mounts_on_one_place_the_later_counts(tmp_path, monkeypatch):
    several = [places.Mount("/", "ext4", ("rw",)), *(places.Mount(str(tmp_path), "tmpfs", (one,)) for one in "ab")]
    monkeypatch.setattr(places, "mounts", lambda: several)
    assert places.storage(str(tmp_path / "audit.log")).options == ("b",)


def test_what_is_bound_to_its_own_place_is_no_file_system_of_its_own(tmp_path, monkeypatch):
    several = [places.Mount("/", "ext4", ("rw",)), places.Mount(str(tmp_path), "ext4", ("nodev",))]
    monkeypatch.setattr(places, "mounts", lambda: several)
    found = places.storage(str(tmp_path / "audit.log"))
    assert (found.own, found.mount) == (False, "/")


def test_a_directory_among_drop_ins_is_none_of_them(tmp_path):
    tree(tmp_path, **{"sshd_config.d__a.conf": "", "audit__rules.d__a.rules": "", "sshd_config.d__old__b.conf": ""})
    (tmp_path / "audit" / "rules.d" / "old").mkdir()
    found = places.files(
        f"{tmp_path}/sshd_config", [], f"{tmp_path}/audit/auditd.conf", f"{tmp_path}/audit/rules.d/zz", ""
    )
    assert list(found["sshd drop-ins"]) == [f"{tmp_path}/sshd_config.d/a.conf"]
    assert list(found["rules.d"]) == [f"{tmp_path}/audit/rules.d/a.rules"]


def test_the_volume_of_a_log(tmp_path):
    log = tmp_path / "audit.log"
    assert places.storage(str(log)).oldest is None
    assert places.storage(str(tmp_path / "nothing" / "audit.log")) is None
    (tmp_path / "audit.log.1").write_text("no record\ntype=USER msg=audit(1000.500:7): pid=1\n")
    log.write_text("type=USER msg=audit(2000.000:9): pid=1\n")
    found = places.storage(str(log))
    assert found.logs == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert found.oldest > 1.7e9 and not found.own and found.size >= found.free > 0


@pytest.mark.parametrize("kind", ["sshd config", "audit logs", "audit log directory", "auditd.conf", "rules.d"])
def test_files_of_each_kind(tmp_path, kind):
    tree(tmp_path, **{"sshd_config": "", "audit__auditd.conf": "", "audit__rules.d__a.rules": "", "log__audit.log": ""})
    paths = (f"{tmp_path}/sshd_config", [], f"{tmp_path}/audit/auditd.conf", f"{tmp_path}/audit/rules.d/zz.rules")
    assert places.files(*paths, f"{tmp_path}/log/audit.log")[kind]


def test_mounts_are_those_of_this_process():
    assert "/" in [one.path for one in places.mounts()] and places.running("nothing-of-this-name") == []


#: What stands in a file of systemd's, and the lines that systemd makes of it: systemd.syntax(7).
CONTINUED = [
    ("[Journal]\nStorage=\\\npersistent\n", ["Storage= persistent"]),
    ("[Journal]\nStorage=\\\n# no\n; nor this\npersistent\n", ["Storage= persistent"]),
    ("[Journal]\nA=b\\\nStorage=persistent\n", ["A=b Storage=persistent"]),
    ("[Journal]\n# A \\\nStorage=persistent\n", ["# A \\", "Storage=persistent"]),
]


@pytest.mark.parametrize(("said", "told"), CONTINUED)
def test_a_backslash_joins_lines_of_systemd_s(tmp_path, monkeypatch, said, told):
    (tmp_path / "journald.conf").write_text(said)
    monkeypatch.setattr(configs, "SYSTEMD", (str(tmp_path),))
    assert [line for _place, line in configs._systemd("journald.conf", "Journal")] == told


#: What stands in /etc/aliases, and whether root's mail goes to somebody: aliases(5).
ALIASES = [
    ("root:\n  alice\n", True),
    ("root:\n\talice,\n\tbob\n", True),
    ("root:\n# note\n  alice\n", True),
    ("root:\nalice: bob\n", False),
    ("mailer: bob\n root: alice\n", False),
    ("root: admin\nadmin: /dev/null\n", False),
    ("root: admin\nadmin: alice\n", True),
    ("root: admin\nadmin: root\n", False),
    ("root: root\n", True),
    ("root: \\\\root\n", True),
    ("root: /dev/null\nroot: alice\n", False),
    ("root: alice\nroot: /dev/null\n", True),
    ("root: :include:{d}/list\n", True),
    ("root: :include:{d}/empty\n", False),
    ("root: :include:{d}/gone\n", False),
    ("root: /dev/null, :include:{d}/list\n", True),
    ("postmaster: root\n", False),
]


@pytest.mark.parametrize(("said", "told"), ALIASES)
def test_an_alias_goes_to_somebody(tmp_path, said, told):
    tree(tmp_path, aliases=said.replace("{d}", str(tmp_path)), list="# us\nalice\nbob\n", empty="# nobody\n")
    known = facts(configs={"aliases": configs._aliases(f"{tmp_path}/aliases")})
    assert system.alias(known, "root").holds is told


def test_a_backslash_joins_lines_of_pam_s(tmp_path):
    (tmp_path / "sshd").write_text("auth required pam_faillock.so \\\n  preauth audit\n# x \\\nauth x\n")
    told = [line for _place, line in configs._pam(f"{tmp_path}/*")]
    assert told[0] == "auth required pam_faillock.so preauth audit"


def test_a_comment_of_rsyslog_s_goes_on_behind_a_backslash(tmp_path):
    said = "# no \\\n$IncludeConfig {d}/x\n*.*;\\\n  # auth.none /a\n".replace("{d}", str(tmp_path))
    base = tree(tmp_path, **{"rsyslog.conf": said, "x": "b.* /b\n"})
    assert [line for _place, line in configs._rsyslog(str(base / "rsyslog.conf"))] == ["*.*;# auth.none /a"]


def test_aide_reads_what_it_includes(tmp_path):
    said = "@@x_include {d}/d ^[a-z0-9_]+$\n@@include {d}/more\n@@include {d}/c\nlast sha512\n"
    base = tree(
        tmp_path,
        **{
            "c": said.replace("{d}", str(tmp_path)),
            "d__10_a": "/usr p\n",
            "d__b.bak": "/x p\n",
            "more": "!/usr/sbin\n",
        },
        **{"d__20_run": "#!/bin/sh\necho /opt sha512\n!/opt/x\n/opt sha512\n"},
    )
    (base / "d" / "20_run").chmod(0o755)
    told = [line for _place, line in configs._aide(str(base / "c"))]
    assert [line for line in told if line != "last sha512"][:3] == ["/usr p", "!/opt/x", "!/usr/sbin"]
    assert told[-1] == "last sha512" and configs._aide(str(base / "nothing")) is None
