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
			LIST:) [ ! -e "$TMP/all" ] || slow; printf '* BOX %s\n' INBOX A B a b c d e f g h i j k B.e B.f S ;;
			LIST:*) [ \$box != S ] || slow; echo '* MSG 1'; echo 'OK full'; continue ;;
			FETCH:*) slow; printf '* DATA 1 4\na\n\nb' ;;
			APPEND:*) slow; echo '* MSG 2' ;;
			COPY:* | MOVE:*) slow; echo '* NEW 1 2' ;;
			SEARCH:*) slow; echo '* HIT 1' ;;
			*) slow ;;
			esac
			echo OK
		done
	END
	# each in mailboxes of its own, so that none waits for another one's lock
	local verbs=('CREATE C' 'DELETE B' 'RENAME A D' $'APPEND d {1+}\nx' 'COPY 1 B.e' 'MOVE 1 B.f'
		'STORE 1 +FLAGS.SILENT (\Seen)' 'SEARCH SUBJECT a' 'FETCH 1 BODY.PEEK[]' 'STATUS S (MESSAGES)')
	local i names=(a b c d e f g h i j)
	{
		for i in "${!verbs[@]}"; do echo "${names[i]} SELECT ${names[i]}"; done
		# the list of mailboxes is good for this second
		echo "! touch '$TMP/slow'; sleep 2"
		for i in "${!verbs[@]}"; do
			echo "${names[i]} begin ${verbs[i]}"
		done
		for i in "${!verbs[@]}"; do printf '! echo %s\n%s finish\n' "${names[i]}" "${names[i]}"; done
		# each of the others asks for this list several times
		printf '! touch "%s/all"; echo k\nk LIST "" *\n' "$TMP"
	} >"$TMP/script"
	imap <"$TMP/script"
	verbs+=('LIST "" *') names+=(k)
	for i in "${!verbs[@]}"; do
		echo "${verbs[i]}"
		sed -n "/^${names[i]}\$/,/^${names[i]} OK/p" <<<"$output" | grep -q '^\* OK Hang in there'
	done
}

@test "who waits for another session's change for longer than 15 seconds hears it, too" {
	backend <<-END
		#!/bin/sh
		while read -r verb box rest; do
			case \$verb:\$box in
			CAPS:*) echo '* CAPS 1 STORE APPEND'
				echo '* FLAGS backend=all' ;;
			LIST:) printf '* BOX INBOX\n' ;;
			LIST:*) echo '* MSG 1'; echo 'OK full'; continue ;;
			APPEND:*) touch "$TMP/db/asked"; sleep 20; echo '* MSG 2' ;;
			esac
			echo OK
		done
	END
	writable "$TMP/db"
	imap <<-END
		a SELECT INBOX
		b SELECT INBOX
		a begin APPEND INBOX {1+}
		x
		! until [ -e "$TMP/db/asked" ]; do sleep 0.1; done
		b STORE 1 +FLAGS (\Flagged)
		a finish
	END
	echo "$output"
	sed -n '/^b OK \[READ-WRITE\] Select/,/^b OK Store/p' <<<"$output" | grep -q '^\* OK Hang in there'
}
