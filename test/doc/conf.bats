# The examples of dovebridge.conf(5), each in the words of one Dovecot: those of the one that
# is here are run. `make check-other` runs the others.
load ../lib/common

setup() {
	common_setup
	VERSION=$(dovecot --version | cut -d. -f1,2)
	mkdir -p "$TMP/srv/mail/$AS/Lists" "$TMP/srv/old mail/$AS" "$TMP/modules"
	ln -s "$ROOT/backends/eml-dir/eml-dir" "$TMP/srv/eml-dir"
	printf 'Subject: new\n\n.\n' >"$TMP/srv/mail/$AS/1.eml"
	printf 'Subject: old\n\n.\n' | tee "$TMP/srv/old mail/$AS/1.eml" >"$TMP/srv/mail/$AS/Lists/1.eml"
	writable "$TMP/user" "$TMP/run"
	ln -s "$(doveconf -d mail_plugin_dir | sed 's/.* = //')"/* "$ROOT/build/lib20_bridge_plugin.so" "$TMP/modules"
	RUN=(env -i "${UNDER[@]}" "PATH=$PATH" "USER=$AS" "HOME=$TMP/user")
	[ "$(id -u)" -ne 0 ] || RUN=(setpriv --reuid=nobody --regid=nogroup --clear-groups "${RUN[@]}")
	OPTIONS=()
	[ "$VERSION" = 2.3 ] || OPTIONS=(--no-userdb-lookup)
}

# examples NUMBER: how many examples the page has for each Dovecot; $TMP/N.VERSION are they,
# numbered from 1.
examples() {
	awk -v to="$TMP" '
		/^\.Sy Dovecot 2\.[34] :$/ { version = $3; next }
		/^\.Bd -literal/ && version { file = to "/" ++count[version] "." version; next }
		/^\.Ed/ { file = version = "" }
		file { print >file }' "$ROOT/man/dovebridge.conf.5"
}

# conf N: $TMP/conf, that example with what it needs to run here.
conf() {
	local first=
	[ "$VERSION" = 2.3 ] || first=$'dovecot_config_version = 2.4.1\ndovecot_storage_version = 2.4.1'
	cat >"$TMP/conf" <<-END
		$first
		base_dir = $TMP/run
		state_dir = $TMP/run
		log_path = /dev/stderr
		ssl = no
		stats_writer_socket_path =
		mail_plugin_dir = $TMP/modules
		mail_home = $TMP/user
	END
	sed "s|/srv/|$TMP/srv/|g" "$TMP/$1.$VERSION" >>"$TMP/conf"
}

lists() { run --separate-stderr "${RUN[@]}" doveadm -c "$TMP/conf" mailbox list "${OPTIONS[@]}"; }

@test "the page has each example for both Dovecots" {
	examples
	run -0 find "$TMP" -maxdepth 1 -name '[1-9].2.3' -printf x
	assert_output xxxx
	run -0 find "$TMP" -maxdepth 1 -name '[1-9].2.4' -printf x
	assert_output xxxx
}

@test "this Dovecot takes each of its examples" {
	examples
	for n in 1 2 3 4; do
		conf "$n"
		run -0 --separate-stderr doveconf -n -c "$TMP/conf"
	done
}

@test "the first example serves a store" {
	examples
	conf 1
	lists
	assert_success
	assert_line Lists
}

@test "the example of an archive serves it beside ordinary mail" {
	examples
	conf 4
	lists
	assert_success
	assert_line INBOX
	assert_line Archive/INBOX
}
