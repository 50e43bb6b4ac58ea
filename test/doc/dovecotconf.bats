# The tests' configurations in the words of the Dovecot that is installed
# (lib/dovecotconf.py).
load ../lib/common

# for 2.4, whichever is installed
setup() {
	common_setup
	export DOVECOT=2.4.1
}

translated() { run --separate-stderr "$ROOT/test/lib/dovecotconf.py"; }

@test "for Dovecot 2.3 a configuration is what was written, byte for byte" {
	export DOVECOT=2.3.19.1
	printf '# a comment\n\nany_thing =  "x"\n}\n' >"$TMP/conf"
	"$ROOT/test/lib/dovecotconf.py" <"$TMP/conf" >"$TMP/out"
	cmp "$TMP/conf" "$TMP/out"
	run -0 "$ROOT/test/lib/dovecotconf.py" --options mail_location=maildir:/m:INDEX=/i
	assert_output mail_location=maildir:/m:INDEX=/i
}

@test "a line whose meaning in 2.4 nobody has written down is an error with its text" {
	while read -r line; do
		conf=${line%% ;; *}
		translated <<<"${conf//;/$'\n'}"
		assert_failure
		assert_regex "$stderr" "dovecotconf.py: .*${line##* ;; }"
		assert_output ''
	done <<-'END'
		no_such_setting = x ;; no_such_setting = x: it is not in the tables
		plugin {;no_such = x;} ;; plugin/no_such = x: it is not in the tables
		plugin {;bridge_tiemout = 4s;} ;; plugin/bridge_tiemout = 4s: it is not in the tables
		namespace x {;no_such = x;} ;; namespace x .: no_such = x: it is not in the tables
		no_such_section {;} ;; no_such_section .: a section that is not in the tables
		mail_location = maildir:/m:NOSUCH=x ;; NOSUCH=x in a location
		mail_home = /home/%L ;; variable %L
		namespace x {; ;; namespace x: a section without an end
		a line ;; a line: neither a setting nor a section
	END
}

@test "a location takes nothing from another one" {
	translated <<-'END'
		mail_location = bridge:/a/%u:VOLATILEDIR=/v
		namespace own {
		  location = maildir:/b
		}
	END
	assert_success
	assert_output - <<-'END'
		dovecot_config_version = 2.4.1
		dovecot_storage_version = 2.4.1
		mail_driver = bridge
		mail_path = /a/%{user}
		mail_volatile_path = /v
		namespace own {
		  mail_driver = maildir
		  mail_path = /b
		  mail_volatile_path =
		}
	END
}

@test "what Dovecot 2.4 gets of a percent sign, a quote and a backslash is what 2.3 would" {
	translated <<<$'plugin {\n  bridge_command = "\'/x\' 100%% %%{u} \\"a\\\\\\"b\\" %u %h"\n}'
	assert_line "bridge_command = \"'/x' 100% %%{u} \\\"a\\\\\\\"b\\\" %{user} %{home}\""
	translated <<<$'namespace {\n  type = shared\n  prefix = shared/%%u/\n  location = bridge:/x/%%u\n}'
	# shellcheck disable=SC2016	# it is Dovecot's
	assert_line '  prefix = shared/$user/'
	assert_line '  mail_path = /x/%{owner_user}'
}

@test "an option that is more than one in 2.4 is as many, in its sections" {
	run -0 "$ROOT/test/lib/dovecotconf.py" --options plugin/bridge_timeout=4s mail_location=maildir:/m:INDEX=/i
	assert_output $'bridge_timeout=4s\nmail_driver=maildir\nmail_index_path=/i\nmail_path=/m'
	run -0 "$ROOT/test/lib/dovecotconf.py" --options 'service/a/inet_listener/b/address=*' plugin/quota=count:x
	assert_output $'service/a/inet_listener/b/listen=*\nquota/x/driver=count'
	run -1 "$ROOT/test/lib/dovecotconf.py" --options plugin/no_such=x
	assert_output --partial 'plugin/no_such = x: it is not in the tables'
}
