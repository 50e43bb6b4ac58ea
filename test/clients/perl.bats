# Mail::IMAPClient, for scripts in Perl.
#
# run sets $stderr:
# shellcheck disable=SC2154
load clients

# perl_client <Perl: $imap is logged in; ok EXPRESSION dies of what has failed, show(BOX)
# prints its messages with flags.
perl_client() {
	perl -MMail::IMAPClient -e 1 2>/dev/null || skip 'needs Mail::IMAPClient (libmail-imapclient-perl)'
	[ -n "${IMAP_PORT-}" ] || serve
	cat - >"$TMP/script.pl" <<-END
		use strict; use warnings; use Mail::IMAPClient;
		my \$imap = Mail::IMAPClient->new(Server => '127.0.0.1', Port => $IMAP_PORT, User => 'joe',
		    Password => 'secret', Uid => 1, Peek => 1, Timeout => 30) or die "new: \$@";
		sub ok { my (\$value) = @_; die 'failed: ', \$imap->LastError // '', "\n" unless defined \$value; \$value }
		sub somebody { system('bash', '$TMP/somebody', @_) == 0 or die }
		sub show {
		    ok(\$imap->select(\$_[0]));
		    for my \$uid (\$imap->messages) {
		        my \$flags = join ' ', sort grep { \$_ ne '\\\\Recent' } \$imap->flags(\$uid);
		        print \$imap->subject(\$uid), \$flags ? " \$flags" : '', "\n";
		    }
		}
	END
	cat >>"$TMP/script.pl"
	client perl "$TMP/script.pl"
	if [ "$status" -ne 0 ]; then fail "$output$stderr"; fi
}

@test "Mail::IMAPClient reads all messages byte for byte" {
	corpus
	"$ROOT/test/lib/mailsame.py" fill "$TMP/corpus" "$TMP/db/mail.sqlite"
	mkdir "$TMP/read"
	perl_client <<-END
		my \$n = 0;
		for my \$box (\$imap->folders) {
		    ok(\$imap->examine(\$box));
		    for my \$uid (\$imap->messages) {
		        open my \$file, '>', sprintf "$TMP/read/%04d.eml", ++\$n or die \$!;
		        print \$file ok(\$imap->message_string(\$uid));
		        close \$file;
		    }
		}
	END
	assert_same "$MESSAGES" "$TMP/corpus" "$TMP/read" --one
	assert_quiet "$TMP/dovecot/log"
}

@test "Mail::IMAPClient flags, answers, expunges, moves to new folders and adds, and the store has it" {
	put INBOX one '\Seen'
	put INBOX two
	put INBOX three
	put INBOX four
	perl_client <<-'END'
		ok($imap->create('Done')); ok($imap->create('Lists/choir'));
		ok($imap->select('INBOX'));
		my %uid = map { $imap->subject($_) => $_ } $imap->messages;
		ok($imap->unset_flag('\\Seen', $uid{one})); ok($imap->set_flag('urgent', $uid{one}));
		ok($imap->set_flag('\\Answered', $uid{two})); ok($imap->copy('Done', $uid{two}));
		ok($imap->delete_message($uid{three})); ok($imap->expunge);
		ok($imap->move('Lists/choir', $uid{four})); ok($imap->expunge);
		my $uid = ok($imap->append_string('Done', "Subject: five\r\n\r\nThe text of five\r\n", '\\Flagged own',
		    '06-May-2023 07:08:09 +0000'));
		ok($imap->rename('Done', 'Archive'));
		ok($imap->select('Archive'));
		print 'APPENDUID is that of ', $imap->subject($uid), "\n";
		$imap->logout;
	END
	assert_output 'APPENDUID is that of five'
	assert_stored INBOX 'one urgent' 'two \Answered'
	assert_stored Lists/choir four
	assert_stored Archive 'two \Answered' 'five \Flagged own'
	run dates Archive
	assert_output $'two 2024-03-01 12:02:00\nfive 2023-05-06 07:08:09'
	assert_quiet "$TMP/dovecot/log"
}

@test "Mail::IMAPClient sees in its session what somebody else did to the store" {
	put INBOX one
	put INBOX two '\Seen'
	perl_client <<-'END'
		show('INBOX');
		somebody('flag', 'one', '\\Answered,todo'); somebody('remove', 'two'); somebody('put', 'INBOX', 'three', '\\Draft');
		ok($imap->noop);
		show('INBOX');
	END
	assert_output $'one\ntwo \\Seen\none \\Answered todo\nthree \\Draft'
	assert_quiet "$TMP/dovecot/log"
}

@test "Mail::IMAPClient waits in IDLE, and is told at once what somebody else did" {
	put INBOX one
	perl_client <<-'END'
		ok($imap->select('INBOX'));
		my $idle = ok($imap->idle);
		somebody('put', 'INBOX', 'two');
		print $imap->idle_data(20);
		ok($imap->done($idle));
	END
	assert_output --partial '* 2 EXISTS'
	assert_quiet "$TMP/dovecot/log"
}
