"""compliance.configs and compliance.places: lines with their places, and files as stat has them."""

import os
import re
import struct

import pytest
from sshtrail_lib.compliance import configs, places
from sshtrail_lib.compliance.facts import Grant


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
    said = f'# no\n$IncludeConfig {tmp_path}/d/*.conf\ninclude(file="{tmp_path}/e.conf" mode="optional")\n'
    base = tree(tmp_path, **{"rsyslog.conf": said, "d__1.conf": "a.* /a\n", "e.conf": "b.* /b\n"})
    assert [line for _place, line in configs._rsyslog(str(base / "rsyslog.conf"))][1::2] == ["a.* /a", "b.* /b"]


def test_systemd_s_drop_ins_replace_each_other_by_name(tmp_path, monkeypatch):
    tree(
        tmp_path,
        **{
            "usr__journald.conf": "[Journal]\nStorage=auto\n",
            "etc__journald.conf": "[Journal]\n#Storage=auto\n",
            "usr__journald.conf.d__10.conf": "Storage=none\n",
            "etc__journald.conf.d__10.conf": "Storage=volatile\n",
            "usr__journald.conf.d__20.conf": "Storage=persistent\n",
        },
    )
    monkeypatch.setattr(configs, "SYSTEMD", (str(tmp_path / "usr"), str(tmp_path / "etc")))
    told = [line for _place, line in configs._systemd("journald.conf")]
    assert told == ["[Journal]", "#Storage=auto", "Storage=volatile", "Storage=persistent"]
    assert configs._systemd("nothing.conf") is None


def test_boot_entries_with_their_kernel_lines(tmp_path, monkeypatch):
    tree(
        tmp_path,
        **{
            "grub.cfg": "menuentry x {\n linux /vmlinuz root=x audit=1 quiet\n linux /vmlinuz single audit=0\n}\n",
            "entries__a.conf": "title x\noptions root=x audit=1\n",
        },
    )
    monkeypatch.setattr(configs, "BOOT", (f"{tmp_path}/grub.cfg", f"{tmp_path}/entries/*.conf"))
    assert configs.boot_entries() == {
        f"{tmp_path}/grub.cfg line 2": ("/vmlinuz", "root=x", "audit=1", "quiet"),
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
