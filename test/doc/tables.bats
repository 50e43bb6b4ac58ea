load ../lib/common

docrun() { /usr/bin/python3 "$ROOT/test/lib/docrun.py" "$@"; }
help_section() { "$DOVEBRIDGE" --help | sed -n "/^$1/,/^\$/{s/^  //p;}"; }

@test "the verbs of protocol.md are those of the code" {
	docrun table verbs "$ROOT/protocol.md" | tr -d '\140' | sed 's/[ \t].*//' | uniq >"$TMP/doc"
	help_section 'Requests' | sed 's/ .*//' >"$TMP/code"
	run diff "$TMP/doc" "$TMP/code"
	assert_success
}

@test "the codes of protocol.md are those of the code, with the same word on retrying" {
	docrun table codes "$ROOT/protocol.md" | tr -d '\140' |
		awk -F'\t' '{ split($1, codes, ", "); for (i in codes) print codes[i], $NF }' >"$TMP/doc"
	help_section 'Codes' | awk '{ print $1, $2 }' >"$TMP/code"
	run diff "$TMP/doc" "$TMP/code"
	assert_success
}

@test "every option in --help is in the manual page, and the other way round" {
	"$DOVEBRIDGE" --help | grep -o -- '--[a-z]*' | sort -u | grep -v -x -- -- >"$TMP/help"
	grep -o 'Fl -[a-z][a-z]*' "$ROOT/man/dovebridge.1" | sed 's/Fl -/--/' | sort -u >"$TMP/page"
	run diff "$TMP/help" "$TMP/page"
	assert_success
}

@test "every setting of the plugin is in dovebridge.conf(5), and the other way round" {
	sed -n 's/^\tSETTING([A-Z_]*, \(bridge_[a-z_]*\)).*/\1/p' \
		"$ROOT/bridge/plugin/compat/bridge-settings.h" | sort >"$TMP/code"
	[ -s "$TMP/code" ]
	grep '^\.It Sy bridge_' "$ROOT/man/dovebridge.conf.5" | awk '{ print $3 }' | sort >"$TMP/page"
	run diff "$TMP/code" "$TMP/page"
	assert_success
}

# of_command COMMAND SOURCE: its columns and options are those of its section.
of_command() {
	local source=$ROOT/bridge/plugin/doveadm/$2
	sed -n "/^\\.Ss doveadm bridge $1/,/^\\.S[hs] /{/^\\.Ss doveadm bridge $1/d;p;}" "$ROOT/man/doveadm-bridge.1" >"$TMP/section"
	sed -n '/_columns\[\] = {/,/^};/p' "$source" | grep -oE '"[a-z]+"' | tr -d '"' | sort -u >"$TMP/code"
	grep -E '^\.(It )?Sy [a-z]+' "$TMP/section" |
		grep -vE 'Sy (bridge|mail_plugins)' | grep -oE '\<[a-z]{2,}\>' | sort -u >"$TMP/page"
	run diff "$TMP/code" "$TMP/page"
	assert_success
	grep -oE 'PARAM\(.[a-z]., "[a-z]+"' "$source" | sed -E 's/.*\((.[a-z]).*"(.*)"/\1 --\2/; s/^./-/' >"$TMP/code"
	sed -nE 's/^\.It Fl ([a-z]) , Fl -([a-z]+)$/-\1 --\2/p' "$TMP/section" >"$TMP/page"
	run diff "$TMP/code" "$TMP/page"
	assert_success
}

@test "the columns and options of doveadm bridge map are in its page, and the other way round" {
	of_command map doveadm-bridge.c
}

@test "the columns and options of doveadm bridge status are in its page, and the other way round" {
	of_command status doveadm-bridge-status.c
}

@test "the events and fields of the plugin are in dovebridge.conf(5), and the other way round" {
	# the names, then each one's fields
	sed -n '/^bridge_event_started/,$p' "$ROOT/bridge/plugin/base/bridge-event.c" |
		grep -oE '(set_name|add_int|add_str)\("[a-z_]+"' | sed 's/.*("//; s/"//' >"$TMP/code"
	sed -n '/^\.Sh EVENTS/,/^\.El/s/^\.It//p' "$ROOT/man/dovebridge.conf.5" |
		awk -F ' *Ta ' '!/Em/ { if ($1 != "") print $1; print $2 }' | tr -d ' ' >"$TMP/page"
	run diff <(awk '/^bridge_/ { e = $0; next } { print e, $0 }' "$TMP/code" | sort) \
		<(awk '/^bridge_/ { e = $0; next } { print e, $0 }' "$TMP/page" | sort)
	assert_success
}

@test "each cause that dovebridge.conf(5) knows of a user without mail is one that the tests have" {
	sed -n '/^\.Sh TROUBLESHOOTING/,/^\.El/s/^\.It Sy "\(.*\)"$/\1/p' "$ROOT/man/dovebridge.conf.5" |
		sed 's/\.\.\./.*/g; s/\\(dq/"/' >"$TMP/causes"
	[ "$(wc -l <"$TMP/causes")" -ge 8 ]
	while read -r cause; do
		run -0 grep -qE -- "$cause" "$ROOT/test/doveadm/status.bats"
	done <"$TMP/causes"
}

# in_example FILE: its settings, and of those whose default the manual page has that, too.
in_example() {
	sed -nE 's/^# ?\s*(bridge_[a-z_]+) = (.*)/\1 \2/p; s/^#(bridge_[a-z_]+) = (.*)/\1 \2/p' "$1" | sort >"$TMP/example"
	awk '/^\.It Sy bridge_/ { name = $3 } /^\.(It Sy mail|Ss|El)/ { name = "" }
		/^\.It Sy bridge_/ { print name }
		/Default: [0-9]+[a-z]*\.$/ && name { sub(/\.$/, ""); print name, $NF }' \
		"$ROOT/man/dovebridge.conf.5" | sort >"$TMP/page"
	grep -q ' ' "$TMP/page"
	run diff <(cut -d' ' -f1 "$TMP/example") <(grep -v ' ' "$TMP/page")
	assert_success
	run diff <(grep -Fxf <(grep ' ' "$TMP/page") "$TMP/example") <(grep ' ' "$TMP/page")
	assert_success
}

@test "every setting is in the example of each Dovecot, with its default if it has one" {
	in_example "$ROOT/debian/conf/2.3/90-bridge.conf"
	in_example "$ROOT/debian/conf/2.4/90-bridge.conf"
}

@test "the examples of settings set nothing as they are" {
	run ! grep -hvE '^(#|$)' "$ROOT"/debian/conf/*/90-bridge.conf
}
