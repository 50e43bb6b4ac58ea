# ImapFlow, for programs in JavaScript. It is in no Debian package:
#
#	npm install --prefix build/npm imapflow
#
# run sets $stderr:
# shellcheck disable=SC2154
load clients

# flow <JavaScript: the body of an async function; `imap` is connected, somebody(WORD...)
# is as in clients.bash, show(BOX) prints its messages with flags. What fails throws.
flow() {
	local modules=$ROOT/build/npm/node_modules
	[ -e "$modules/imapflow" ] || skip 'needs ImapFlow: npm install --prefix build/npm imapflow'
	needs node nodejs
	[ -n "${IMAP_PORT-}" ] || serve
	{
		cat <<-END
			const { ImapFlow } = require('imapflow');
			const fs = require('fs');
			const somebody = (...words) => require('child_process').execFileSync('bash', ['$TMP/somebody', ...words]);
			const imap = new ImapFlow({ host: '127.0.0.1', port: $IMAP_PORT, secure: false, logger: false,
				auth: { user: 'joe', pass: 'secret' } });
			async function show(box) {
				const lock = await imap.getMailboxLock(box);
				for await (const m of imap.fetch('1:*', { envelope: true, flags: true }))
					console.log([m.envelope.subject, ...[...m.flags].filter(f => f != '\\\\Recent').sort()].join(' '));
				lock.release();
			}
			const until = async what => { while (!what()) await new Promise(done => setTimeout(done, 50)); };
			(async () => {
				await imap.connect();
		END
		cat
		echo 'await imap.logout(); })().catch(error => { console.error(error); process.exit(1); });'
	} >"$TMP/script.js"
	client env NODE_PATH="$modules" node "$TMP/script.js"
	if [ "$status" -ne 0 ]; then fail "$output$stderr"; fi
}

@test "ImapFlow reads all mailboxes byte for byte" {
	corpus
	"$ROOT/test/lib/mailsame.py" fill "$TMP/corpus" "$TMP/db/mail.sqlite"
	mkdir "$TMP/read"
	flow <<-END
		let n = 0;
		for (const box of await imap.list()) {
			if ([...box.flags].some(flag => /noselect|nonexistent/i.test(flag))) continue;
			const lock = await imap.getMailboxLock(box.path);
			for await (const m of imap.fetch('1:*', { source: true }))
				fs.writeFileSync('$TMP/read/' + ++n + '.eml', m.source);
			lock.release();
		}
	END
	assert_same "$MESSAGES" "$TMP/corpus" "$TMP/read" --one
	assert_quiet "$TMP/dovecot/log"
}

@test "ImapFlow flags, answers, deletes, copies, moves to new folders and adds, and the store has it" {
	put INBOX one '\Seen'
	put INBOX two
	put INBOX three
	put INBOX four
	flow <<-'END'
		await imap.mailboxCreate('Done');
		await imap.mailboxCreate(['Lists', 'choir']);
		const lock = await imap.getMailboxLock('INBOX');
		await imap.messageFlagsRemove({ subject: 'one' }, ['\\Seen']);
		await imap.messageFlagsAdd({ subject: 'one' }, ['urgent']);
		await imap.messageFlagsAdd({ subject: 'two' }, ['\\Answered']);
		const copied = await imap.messageCopy({ subject: 'two' }, 'Done');
		await imap.messageDelete({ subject: 'three' });
		const moved = await imap.messageMove({ subject: 'four' }, 'Lists/choir');
		console.log(copied.uidMap.size, moved.uidMap.size);
		lock.release();
		const added = await imap.append('Done', 'Subject: five\r\n\r\nThe text of five\r\n', ['\\Flagged', 'own'],
			new Date('2023-05-06T07:08:09Z'));
		console.log(typeof added.uid);
		await imap.mailboxRename('Done', 'Archive');
	END
	assert_output $'1 1\nnumber'
	assert_stored INBOX 'one urgent' 'two \Answered'
	assert_stored Lists/choir four
	assert_stored Archive 'two \Answered' 'five \Flagged own'
	run dates Archive
	assert_output $'two 2024-03-01 12:02:00\nfive 2023-05-06 07:08:09'
	assert_quiet "$TMP/dovecot/log"
}

@test "ImapFlow is told in IDLE what somebody else did to the store" {
	put INBOX one
	put INBOX two '\Seen'
	flow <<-'END'
		const seen = [];
		imap.on('exists', m => seen.push('exists ' + m.count));
		imap.on('expunge', m => seen.push('expunge ' + m.seq));
		imap.on('flags', m => seen.push('flags ' + [...m.flags].filter(f => f != '\\Recent').join(' ')));
		const lock = await imap.getMailboxLock('INBOX');
		const idle = imap.idle();
		somebody('flag', 'one', '\\Answered');
		await until(() => seen.includes('flags \\Answered'));
		somebody('remove', 'two');
		await until(() => seen.includes('expunge 2'));
		somebody('put', 'INBOX', 'three');
		await until(() => seen.includes('exists 2'));
		lock.release();
		await show('INBOX');
		await idle;
	END
	assert_output $'one \\Answered\nthree'
	assert_quiet "$TMP/dovecot/log"
}
