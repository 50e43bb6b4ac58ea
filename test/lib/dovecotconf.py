#!/usr/bin/python3
"""A configuration in the words of Dovecot 2.3, for the Dovecot that is installed.

    dovecotconf.py <CONF                    the whole of it
    dovecotconf.py --options NAME=VALUE...  for -o of doveadm and imap: a line for each

The tests say each thing once, as 2.3 says it. For 2.3 that is what comes out; for 2.4,
what means the same there. A line that is not in the tables below is an error: nothing is
passed on, or left out, that nobody has thought of.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from dovecot import dovecot_is

VERSION = "2.4.1"  # of the configuration's own words

# Settings that both have, with one meaning. In these, % is a percent sign.
SAME = frozenset(
    """
    auth_cache_size auth_mechanisms base_dir default_internal_group default_internal_user default_login_user
    first_valid_gid first_valid_uid imap_fetch_failure imap_hibernate_timeout imapc_host imapc_password imapc_user
    lda_mailbox_autocreate listen lmtp_add_received_header lmtp_save_to_detail_mailbox log_debug log_path log_timestamp
    mail_access_groups mail_always_cache_fields mail_attachment_detection_options mail_debug mail_fsync mail_gid
    mail_max_userip_connections mail_plugin_dir mail_prefetch_count mail_temp_dir mail_uid
    mailbox_list_index mmap_disable pop3_deleted_flag pop3_enable_last pop3_no_flag_updates protocols recipient_delimiter ssl state_dir
    stats_writer_socket_path
    """.split()
)
# The same within a section; its name is not looked at, but for the first word.
SAME_IN: dict[str, frozenset[str]] = {
    "namespace": frozenset("alias_for hidden inbox list separator subscriptions type".split()),
    "mailbox": frozenset("auto autoexpunge autoexpunge_max_mails special_use".split()),
    "service": frozenset("chroot client_limit extra_groups process_limit process_min_avail user vsz_limit".split()),
    "inet_listener": frozenset({"port"}),
    "unix_listener": frozenset({"group", "mode", "user"}),
    "metric": frozenset({"exporter", "filter"}),
    "protocol": SAME,
}
OURS = re.compile(
    "(bridge_(?:command|timeout|caps_timeout|end_timeout|brake_pause|lock_timeout|directory|watch_max|store_id|rawlog_dir))"
    "(?:_(.+))?"
)
# %u and the like; in a shared namespace %%u is the owner
VARIABLES = {"u": "%{user}", "n": "%{user | username}", "d": "%{user | domain}", "h": "%{home}"}
OWNERS = {"u": "%{owner_user}", "n": "%{owner_user | username}", "d": "%{owner_user | domain}", "h": "%{owner_home}"}
PREFIXES = {"u": "$user", "n": "$username", "d": "$domain"}
# Parts of a mail_location.
LOCATION = {
    "ALT": "mail_alt_path",
    "CONTROL": "mail_control_path",
    "INBOX": "mail_inbox_path",
    "INDEX": "mail_index_path",
    "LAYOUT": "mailbox_list_layout",
    "VOLATILEDIR": "mail_volatile_path",
    "UTF-8": "mailbox_list_utf8",
}
# Plugins with another name, and those that are no plugins any more.
PLUGINS = {"zlib": "mail_compress", "imap_zlib": None, "listescape": None}


class Unknown(Exception):
    """What this cannot say in 2.4's words."""


@dataclass
class Section:
    """A section, or the whole file."""

    words: list[str] = field(default_factory=list)
    parts: list[Setting | Section] = field(default_factory=list)

    def set(self, name: str, value: str) -> None:
        self.parts.append((name, value))

    def section(self, *words: str) -> Section:
        made = Section(list(words))
        self.parts.append(made)
        return made

    def lines(self, indent: str = "") -> Iterable[str]:
        for part in self.parts:
            if isinstance(part, Section):
                yield f"{indent}{' '.join(map(quoted_word, part.words))} {{"
                yield from part.lines(indent + "  ")
                yield f"{indent}}}"
            else:
                yield f"{indent}{part[0]} = {quoted(part[1])}".rstrip()


Setting = tuple[str, str]

# --- text -------------------------------------------------------------------------


def unquoted(value: str) -> str:
    if len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]:
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value


def quoted(value: str) -> str:
    """Always where it could be read as something else."""
    if re.fullmatch(r"[^\s'\"#<$\\][^'\"#\\]*[^\s'\"#\\]|[^\s'\"#<$\\]?", value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def quoted_word(word: str) -> str:
    return word if re.fullmatch(r"[^\s\"{}#/]+", word) else '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def expanded(value: str, owners: dict[str, str] | None = None) -> str:
    """Its variables in 2.4's words."""

    def variable(match: re.Match[str]) -> str:
        percents, name = match[1], match[2]
        known = VARIABLES if percents == "%" else owners
        if known is not None and name in known:
            return known[name]
        if percents == "%%" and owners is None:
            return ("%%" if name == "{" else "%") + name
        raise Unknown(f"variable %{name}")

    # "%{" is a variable in 2.4, and "%%{" is none
    return re.sub(r"(%%?)(.?)", variable, value)


# --- the table of the file --------------------------------------------------------


class Translation:
    def __init__(self) -> None:
        self.plugin: dict[str, str] = {}
        self.spaces = 0
        self.location_keys: set[str] = set()  # of all locations: each sets them all

    def whole(self, old: Section) -> Section:
        new = Section()
        new.set("dovecot_config_version", VERSION)
        new.set("dovecot_storage_version", VERSION)
        self.find_locations(old)
        self.parts(old, new)
        plugin_settings(self.plugin, new)
        return new

    def find_locations(self, old: Section) -> None:
        for part in old.parts:
            if isinstance(part, Section):
                self.find_locations(part)
            elif part[0] in ("mail_location", "location"):
                self.location_keys |= {name for name, _ in location(part[1])}

    def parts(self, old: Section, new: Section) -> None:
        for part in old.parts:
            try:
                if isinstance(part, Section):
                    self.one_section(old, part, new)
                else:
                    self.setting(old, part[0], part[1], new)
            except Unknown as unknown:
                what = " ".join(part.words) + " {" if isinstance(part, Section) else f"{part[0]} = {part[1]}"
                raise Unknown(f"{what}: {unknown}") from None

    def setting(self, old: Section, name: str, value: str, new: Section) -> None:
        kind = old.words[0] if old.words else ""
        if name in SAME_IN.get(kind, SAME if not kind else frozenset()):
            new.set(name, value)
        elif (kind, name) in SETTINGS:
            SETTINGS[kind, name](value, new)
        elif name == "mail_plugins" and kind in ("", "protocol"):
            mail_plugins(value, new)
        elif (kind, name) in (("", "mail_location"), ("namespace", "location")):
            self.location(value, new, OWNERS if ("type", "shared") in old.parts else None)
        elif kind == "plugin":
            self.plugin[name] = value
        else:
            raise Unknown("it is not in the tables of test/lib/dovecotconf.py")

    def location(self, value: str, new: Section, owners: dict[str, str] | None) -> None:
        mine = dict(location(value))
        for name in sorted(self.location_keys):
            # of another location only what this one has not
            if name in mine or name != "mailbox_list_layout":
                new.set(name, expanded(mine.get(name, "no" if name == "mailbox_list_utf8" else ""), owners))

    def one_section(self, old: Section, part: Section, new: Section) -> None:
        kind, name = part.words[0], part.words[1:]
        if kind == "plugin" and not old.words:
            self.parts(part, Section())
        elif (kind in ("passdb", "userdb")) and not old.words:
            database(kind, dict(settings_of(part)), new)
        elif kind == "event_exporter":
            exporter(name[0], dict(settings_of(part)), new)
        elif kind == "namespace" and not name:
            self.spaces += 1
            self.parts(part, new.section(kind, f"unnamed{self.spaces}"))
        elif kind in SAME_IN:
            self.parts(part, new.section(*part.words))
        else:
            raise Unknown("a section that is not in the tables of test/lib/dovecotconf.py")


def settings_of(section: Section) -> Iterable[Setting]:
    for part in section.parts:
        if isinstance(part, Section):
            raise Unknown(f"a section {part.words[0]} in it")
        yield part


def location(value: str) -> Iterable[Setting]:
    driver, _, rest = value.partition(":")
    path, *options = rest.split(":")
    yield "mail_driver", driver
    yield "mail_path", path
    for option in options:
        key, _, given = option.partition("=")
        if key not in LOCATION:
            raise Unknown(f"{option} in a location")
        yield LOCATION[key], given or "yes"


def mail_plugins(value: str, new: Section) -> None:
    names = value.split()
    if "$mail_plugins" in names:
        raise Unknown("$mail_plugins: name them")
    new.set("mail_plugins", " ".join(found for name in names if (found := PLUGINS.get(name, name)) is not None))
    if "listescape" in names:
        new.set("mailbox_list_storage_escape_char", "\\")


def negated(name: str) -> Callable[[str, Section], None]:
    return lambda value, new: new.set(name, {"yes": "no", "no": "yes"}[value])


def renamed(name: str) -> Callable[[str, Section], None]:
    return lambda value, new: new.set(name, value)


def with_variables(name: str) -> Callable[[str, Section], None]:
    return lambda value, new: new.set(name, expanded(value))


def restarts(value: str, new: Section) -> None:
    new.set("restart_request_count", {"0": "unlimited"}.get(value, value))


def uidl(value: str, new: Section) -> None:
    if value != "%g":
        raise Unknown("only %g is known")
    new.set("pop3_uidl_format", "%{guid}")


def dictionary(name: str) -> Callable[[str, Section], None]:
    """A dict in a section of its own."""

    def function(value: str, new: Section) -> None:
        driver, _, path = value.partition(":")
        new.section(name).section("dict", driver).set("path", path)

    return function


def group_by(value: str, new: Section) -> None:
    for name in value.split():
        new.section("group_by", name)


SETTINGS: dict[tuple[str, str], Callable[[str, Section], None]] = {
    ("", "disable_plaintext_auth"): negated("auth_allow_cleartext"),
    ("", "mail_attribute_dict"): dictionary("mail_attribute"),
    ("", "mail_home"): with_variables("mail_home"),
    ("", "pop3_uidl_format"): uidl,
    ("inet_listener", "address"): renamed("listen"),
    ("metric", "fields"): renamed("fields"),
    ("metric", "group_by"): group_by,
    ("service", "service_count"): restarts,
    ("namespace", "prefix"): lambda value, new: new.set("prefix", expanded(value, PREFIXES)),
}


def database(kind: str, old: dict[str, str], new: Section) -> None:
    driver, args = old.pop("driver"), expanded(old.pop("args"))
    if old:
        raise Unknown(", ".join(old))
    made = new.section(kind, driver)
    if driver == "passwd-file":
        made.set("passwd_file_path", args)
        return
    fields = dict(word.partition("=")[::2] for word in args.split())
    if driver != "static":
        raise Unknown(f"driver {driver}")
    if kind == "passdb":
        made.set("password", fields.pop("password"))
    if fields:
        made.section("fields").parts += fields.items()


def exporter(name: str, old: dict[str, str], new: Section) -> None:
    made = new.section("event_exporter", name)
    made.set("driver", old.pop("transport"))
    made.set("format", old.pop("format"))
    made.set("time_format", {"time-rfc3339": "rfc3339"}[old.pop("format_args")])
    if old:
        raise Unknown(", ".join(old))


# --- the plugin section -----------------------------------------------------------

Taken = dict[str, str]


def plugin_settings(old: Taken, new: Section) -> None:
    """Each function takes away what it knows."""
    left = dict(old)
    for function in (ours, acl, quota, mail_log, mail_crypt, fts, sieve, imapsieve, small):
        function(left, new)
    if left:
        name, value = next(iter(left.items()))
        raise Unknown(f"plugin/{name} = {value}: it is not in the tables of test/lib/dovecotconf.py")


def ours(left: Taken, new: Section) -> None:
    """2.3's bridge_command_NAME is that of the namespace NAME."""
    for name in list(left):
        if match := OURS.fullmatch(name):
            place = new.section("namespace", match[2]) if match[2] else new
            place.set(match[1], expanded(left.pop(name)))


def acl(left: Taken, new: Section) -> None:
    if value := left.pop("acl", ""):
        driver, _, rest = value.partition(":")
        path, _, option = rest.partition(":")
        new.set("acl_driver", driver)
        if path:
            new.set("acl_global_path", path)
        if option:
            new.set("acl_cache_ttl", re.fullmatch(r"cache_secs=(\d+)", option)[1] + "s")  # type: ignore[index]
    if value := left.pop("acl_shared_dict", ""):
        dictionary("acl_sharing_map")(value, new)


def quota(left: Taken, new: Section) -> None:
    """Of one root. quota_vsizes is what count always does in 2.4."""
    if value := left.pop("quota", ""):
        driver, _, name = value.partition(":")
        root = new.section("quota", name)
        root.set("driver", driver)
        left.pop("quota_vsizes", "")
        for key in [key for key in left if re.fullmatch(r"quota_rule\d*", key)]:
            kind, _, limit = re.fullmatch(r"\*:(storage|messages)(=)(\w+)", left.pop(key)).groups()  # type: ignore[union-attr]
            root.set({"storage": "storage_size", "messages": "message_count"}[kind], limit)


def mail_log(left: Taken, new: Section) -> None:
    for name in ("mail_log_events", "mail_log_fields"):
        if name in left:
            new.set(name, left.pop(name))


def mail_crypt(left: Taken, new: Section) -> None:
    """mail_crypt_save_version 2 is the only one that there is."""
    if value := left.pop("mail_crypt_global_private_key", ""):
        new.section("crypt_global_private_key", "main").set("crypt_private_key_file", value.removeprefix("<"))
        new.set("crypt_global_public_key_file", left.pop("mail_crypt_global_public_key").removeprefix("<"))
        if left.get("mail_crypt_save_version") == "2":
            del left["mail_crypt_save_version"]


def fts(left: Taken, new: Section) -> None:
    """Only of xapian. `full` is gone: words are not cut."""
    if value := left.pop("fts", ""):
        new.section("fts", value)
        for word in left.pop("fts_xapian", "").split():
            key, _, given = word.partition("=")
            if key in ("partial", "verbose"):
                new.set(f"fts_xapian_{key}", given)
            elif key != "full":
                raise Unknown(f"{word} in fts_xapian")
        if enforced := left.pop("fts_enforced", ""):
            negated("fts_search_read_fallback")(enforced, new)
        # without a language nothing is indexed
        english = new.section("language", "en")
        english.set("default", "yes")
        new.set("language_tokenizers", "generic")


def sieve(left: Taken, new: Section) -> None:
    if value := left.pop("sieve", ""):
        script = new.section("sieve_script", "personal")
        script.set("type", "personal")
        script.set("driver", "file")
        script.set("path", value.removeprefix("file:"))
    if value := left.pop("sieve_plugins", ""):
        new.set("sieve_plugins", value)


def imapsieve(left: Taken, new: Section) -> None:
    """Of one mailbox."""
    if name := left.pop("imapsieve_mailbox1_name", ""):
        script = new.section("mailbox", name).section("sieve_script", "imapsieve1")
        script.set("type", "before")
        script.set("cause", left.pop("imapsieve_mailbox1_causes").lower())
        script.set("path", left.pop("imapsieve_mailbox1_before").removeprefix("file:"))


def trash(path: str, new: Section) -> None:
    """2.3's file of "PRIORITY MAILBOX" lines, as it is now."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            priority, _, name = line.strip().partition(" ")
            new.section("namespace", "inbox").section("mailbox", name).set("trash_priority", priority)


SMALL: dict[str, Callable[[str, Section], None]] = {
    "lazy_expunge": renamed("lazy_expunge_mailbox"),
    "lazy_expunge_only_last_instance": renamed("lazy_expunge_only_last_instance"),
    "trash": trash,
    "zlib_save": renamed("mail_compress_write_method"),
}


def small(left: Taken, new: Section) -> None:
    for name, function in SMALL.items():
        if name in left:
            function(left.pop(name), new)


# --- 2.3's words ------------------------------------------------------------------


def parsed(text: str) -> Section:
    stack = [Section()]
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line == "}" and len(stack) > 1:
            stack.pop()
        elif match := re.fullmatch(r"([^\s={}]+)((?:\s+[^\s={}]+)*)\s*\{", line):
            stack.append(stack[-1].section(match[1], *match[2].split()))
        elif match := re.fullmatch(r"([^\s={}]+)\s*=\s*(.*)", line):
            stack[-1].set(match[1], unquoted(match[2]))
        else:
            raise Unknown(f"{line}: neither a setting nor a section")
    if len(stack) > 1:
        raise Unknown(f"{' '.join(stack[-1].words)}: a section without an end")
    return stack[0]


def option(given: str) -> Section:
    """It may be KIND/NAME/KIND/NAME/SETTING=VALUE, and plugin/SETTING=VALUE."""
    key, _, value = given.partition("=")
    *words, name = key.split("/")
    whole = inner = Section()
    while words:
        length = 1 if words[0] == "plugin" else 2
        inner = inner.section(*words[:length])
        words = words[length:]
    inner.set(name, value)
    return whole


def paths(section: Section, before: str = "") -> Iterable[str]:
    for part in section.parts:
        if isinstance(part, Section):
            yield from paths(part, f"{before}{'/'.join(part.words)}/")
        else:
            yield f"{before}{part[0]}={part[1]}"


def options(given: Iterable[str]) -> Iterable[str]:
    for one in given:
        yield from list(paths(Translation().whole(option(one))))[2:]


# --- for programs -----------------------------------------------------------------


def configuration(text: str) -> str:
    """A whole dovecot.conf."""
    if dovecot_is("2.3"):
        return text
    return "".join(f"{line}\n" for line in Translation().whole(parsed(text)).lines())


def settings(given: Iterable[str]) -> list[str]:
    """Each NAME=VALUE of 2.3 for -o, where it may be more than one."""
    return list(given) if dovecot_is("2.3") else list(options(given))


def main() -> None:
    try:
        if sys.argv[1:2] == ["--options"]:
            print("\n".join(settings(sys.argv[2:])))
        elif not sys.argv[1:]:
            sys.stdout.write(configuration(sys.stdin.read()))
        else:
            sys.exit(__doc__)
    except Unknown as unknown:
        sys.exit(f"dovecotconf.py: {unknown}")


if __name__ == "__main__":
    main()
