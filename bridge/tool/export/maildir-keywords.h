/* The keywords of one folder of a Maildir, as Dovecot keeps them: the file
 * dovecot-keywords says which of the letters a to z in a message's name stands
 * for which keyword (maildir-keywords.c, 2.3.19). */
#ifndef BRIDGE_MAILDIR_KEYWORDS_H
#define BRIDGE_MAILDIR_KEYWORDS_H

#include "buf.h"

#define MAILDIR_KEYWORDS_MAX 26		/* letters */
#define MAILDIR_KEYWORD_BYTES_MAX 50	/* mail_max_keyword_length of Dovecot */

struct maildir_keywords {
	int fd, tmp_fd;		/* of the folder and its tmp */
	char *names[MAILDIR_KEYWORDS_MAX];	/* NULL = the letter is free */
	bool closed;		/* no letter can be given away any more, */
	int error;		/* for this errno; 0 = all are taken */
};

/* Read the file of the folder, if there is one. The descriptors stay the
 * caller's. Returns 0, or -1 and errno (EFBIG: it is larger than 64 KiB);
 * maildir_keywords_close is needed in both cases. */
int maildir_keywords_open(struct maildir_keywords *keywords, int fd,
			  int tmp_fd);
void maildir_keywords_close(struct maildir_keywords *keywords);

/* The number of the letter of a keyword, 0 for a; a free one is given to it, and
 * is on the disk when this returns. -1 if there is none for it: the keyword is no
 * IMAP atom or longer than MAILDIR_KEYWORD_BYTES_MAX, or no letter can be given
 * away any more. */
int maildir_keyword(struct maildir_keywords *keywords, struct view keyword);

#endif
