/* RFC822.SIZE: see bridge-vsize.c. */
#ifndef BRIDGE_VSIZE_H
#define BRIDGE_VSIZE_H

struct index_mail;
struct mail;

/* The message's stream has been opened, and nothing of it was shown: what is known
 * of its size becomes true. Returns 0; -1 with the error set if it cannot be read. */
int bridge_vsize_check(struct index_mail *mail);
/* get_virtual_size of a mail. */
int bridge_vsize_get(struct mail *mail, uoff_t *size_r);

#endif
