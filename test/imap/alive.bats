# shellcheck source=test/imap/store.bash
load store

# A client whose request takes the store long is told so every 15 seconds, whatever
# was asked for.

@test "who waits for any verb for longer than 15 seconds hears that we are alive" {
	backend <<-END
		#!/bin/sh
		slow() { [ ! -e "$TMP/slow" ] || sleep 17; }
		while read -r verb box rest; do
			case \$verb:\$box in
			CAPS:*) echo '* CAPS 1 batch=9 STORE APPEND EXPUNGE COPY MOVE CREATE DELETE RENAME SEARCH'
				echo '* FLAGS backend=all'
				echo '* KEYS subject' ;;
			LIST:) slow; printf '* BOX %s\n' INBOX A B ;;
			LIST:*) slow; echo '* MSG 1'; echo 'OK full'; continue ;;
			FETCH:*) slow; printf '* DATA 1 4\na\n\nb' ;;
			APPEND:*) slow; echo '* MSG 2' ;;
			COPY:* | MOVE:*) slow; echo '* NEW 1 2' ;;
			SEARCH:*) slow; echo '* HIT 1' ;;
			*) slow ;;
			esac
			echo OK
		done
	END
	local verbs=('CREATE C' 'DELETE A' 'RENAME A D' $'APPEND INBOX {1+}\nx' 'COPY 1 B' 'MOVE 1 B'
		'STORE 1 +FLAGS.SILENT (\Seen)' 'SEARCH SUBJECT a' 'FETCH 1 BODY.PEEK[]' 'STATUS B (MESSAGES)' 'LIST "" *')
	local i names=(a b c d e f g h i j k)
	{
		for i in "${!verbs[@]}"; do echo "${names[i]} SELECT INBOX"; done
		# the list of mailboxes is good for this second
		echo "! touch '$TMP/slow'; sleep 2"
		for i in "${!verbs[@]}"; do
			echo "${names[i]} begin ${verbs[i]}"
		done
		for i in "${!verbs[@]}"; do printf '! echo %s\n%s finish\n' "${names[i]}" "${names[i]}"; done
	} >"$TMP/script"
	imap <"$TMP/script"
	for i in "${!verbs[@]}"; do
		echo "${verbs[i]}"
		sed -n "/^${names[i]}\$/,/^${names[i]} [ON]/p" <<<"$output" | grep -q '^\* OK Hang in there'
	done
}
