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
	sed -n '/setting_names\[\] = {/,/^}/s/.*"\(bridge_[a-z_]*\)".*/\1/p' \
		"$ROOT/bridge/store/bridge-settings.c" | sort >"$TMP/code"
	grep '^\.It Sy bridge_' "$ROOT/man/dovebridge.conf.5" | awk '{ print $3 }' | sort >"$TMP/page"
	run diff "$TMP/code" "$TMP/page"
	assert_success
}

@test "the columns and options of doveadm bridge map are in its page, and the other way round" {
	local page=$ROOT/man/doveadm-bridge.1 source=$ROOT/bridge/store/doveadm-bridge.c
	sed -n '/_columns\[\] = {/,/^};/p' "$source" | grep -oE '"[a-z]+"' | tr -d '"' | sort -u >"$TMP/code"
	sed -n '/^\.Sh DESC/,/^\.Sh EXIT/p' "$page" | grep -E '^\.(It )?Sy [a-z]+' |
		grep -vE 'Sy (bridge|mail_plugins)' | grep -oE '\<[a-z]{2,}\>' | sort -u >"$TMP/page"
	run diff "$TMP/code" "$TMP/page"
	assert_success
	grep -oE 'PARAM\(.[a-z]., "[a-z]+"' "$source" | sed -E 's/.*\((.[a-z]).*"(.*)"/\1 --\2/; s/^./-/' >"$TMP/code"
	sed -nE 's/^\.It Fl ([a-z]) , Fl -([a-z]+)$/-\1 --\2/p' "$page" >"$TMP/page"
	run diff "$TMP/code" "$TMP/page"
	assert_success
}
