#include "idmap-private.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#define CRC_POLYNOMIAL 0xedb88320U

void idmap_crc_init(struct idmap_crc *crc)
{
	uint32_t sum, i, k;

	for (i = 0; i < 256; i++) {
		sum = i;
		for (k = 0; k < 8; k++)
			sum = (sum >> 1) ^
				((sum & 1) != 0 ? CRC_POLYNOMIAL : 0);
		crc->table[0][i] = sum;
	}
	for (k = 1; k < 4; k++) {
		for (i = 0; i < 256; i++) {
			sum = crc->table[k - 1][i];
			crc->table[k][i] =
				(sum >> 8) ^ crc->table[0][sum & 0xff];
		}
	}
}

uint32_t idmap_crc(const struct idmap_crc *crc, uint32_t sum,
		   const void *data, size_t len)
{
	const unsigned char *p = data;

	sum = ~sum;
	for (; len >= 4; p += 4, len -= 4) {
		sum ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 |
			(uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
		sum = crc->table[3][sum & 0xff] ^
			crc->table[2][(sum >> 8) & 0xff] ^
			crc->table[1][(sum >> 16) & 0xff] ^
			crc->table[0][sum >> 24];
	}
	for (; len > 0; p++, len--)
		sum = (sum >> 8) ^ crc->table[0][(sum ^ *p) & 0xff];
	return ~sum;
}

/* --- words --------------------------------------------------------------- */

/* Cut the next word off the line: words are separated by exactly one space
 * and never empty. False if there is none. */
static bool word_next(struct view *line, struct view *word_r)
{
	const char *space;

	if (line->len == 0)
		return false;
	space = memchr(line->p, ' ', line->len);
	word_r->p = line->p;
	if (space == NULL) {
		word_r->len = line->len;
		line->p += line->len;
		line->len = 0;
		return true;
	}
	word_r->len = (size_t)(space - line->p);
	line->p += word_r->len + 1;
	line->len -= word_r->len + 1;
	/* a space at the very end would be lost otherwise */
	return word_r->len > 0 && line->len > 0;
}

/* Decimal, no sign, no leading zero, at most max. */
static bool word_number(struct view word, uint64_t max, uint64_t *num_r)
{
	uint64_t num = 0;
	size_t i;

	if (word.len == 0 || word.len > 20 ||
	    (word.p[0] == '0' && word.len > 1))
		return false;
	for (i = 0; i < word.len; i++) {
		if (word.p[i] < '0' || word.p[i] > '9' ||
		    __builtin_mul_overflow(num, (uint64_t)10, &num) ||
		    __builtin_add_overflow(num, (uint64_t)(word.p[i] - '0'),
					   &num))
			return false;
	}
	*num_r = num;
	return num <= max;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lower-case hexadecimal of exactly size bytes. */
static bool word_hex(struct view word, unsigned char *data_r, size_t size)
{
	int high, low;
	size_t i;

	if (word.len != 2 * size)
		return false;
	for (i = 0; i < size; i++) {
		high = hex_digit(word.p[2 * i]);
		low = hex_digit(word.p[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		data_r[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

static bool next_crc(struct view *line, uint32_t *sum_r)
{
	unsigned char bytes[4];
	struct view word;

	if (!word_next(line, &word) || !word_hex(word, bytes, sizeof(bytes)))
		return false;
	*sum_r = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
		(uint32_t)bytes[2] << 8 | bytes[3];
	return true;
}

static bool next_number(struct view *line, uint64_t max, uint64_t *num_r)
{
	struct view word;

	return word_next(line, &word) && word_number(word, max, num_r);
}

static bool next_uid(struct view *line, uint32_t max, uint32_t *uid_r)
{
	uint64_t num;

	if (!next_number(line, max, &num) || num == 0)
		return false;
	*uid_r = (uint32_t)num;
	return true;
}

static bool next_time(struct view *line, int64_t *time_r)
{
	uint64_t num;

	if (!next_number(line, INT64_MAX, &num))
		return false;
	*time_r = (int64_t)num;
	return true;
}

static bool next_size(struct view *line, uint64_t *size_r)
{
	struct view word;

	if (!word_next(line, &word))
		return false;
	if (view_is(word, "-")) {
		*size_r = WIRE_SIZE_UNKNOWN;
		return true;
	}
	return word_number(word, WIRE_SIZE_UNKNOWN - 1, size_r);
}

static bool next_date(struct view *line, struct idmap_entry *entry)
{
	if (line->len == 0 || line->p[0] != '-')
		return next_time(line, &entry->date);
	entry->date = WIRE_DATE_UNKNOWN;
	line->p++;
	line->len--;
	if (line->len == 0 || line->p[0] != ' ')
		return next_time(line, &entry->seen_before) &&
			entry->seen_before > 0;
	line->p++;
	line->len--;
	return true;
}

static bool next_is(struct view *line, const char *text)
{
	struct view word;

	return word_next(line, &word) && view_is(word, text);
}

/* Whether the text may stand as one word: no space, no control byte. */
static bool is_word(struct view text, size_t max)
{
	size_t i;

	if (text.len == 0 || text.len > max)
		return false;
	for (i = 0; i < text.len; i++) {
		if ((unsigned char)text.p[i] <= 0x20 || text.p[i] == 0x7f)
			return false;
	}
	return true;
}

bool idmap_id_is_sound(struct view id)
{
	return is_word(id, 3 * WIRE_ID_MAX) && wire_is_id(id);
}

bool idmap_state_is_sound(struct view state)
{
	return is_word(state, WIRE_STATE_MAX);
}

/* --- the last word of a line that carries its own checksum --------------- */

/* Whether the last word is the checksum of all before it; cuts it off. */
static bool line_unseal(const struct idmap_crc *crc, struct view *line)
{
	struct view tail;
	uint32_t sum;

	if (line->len <= IDMAP_CRC_LEN + 1)
		return false;
	tail.p = line->p + line->len - IDMAP_CRC_LEN;
	tail.len = IDMAP_CRC_LEN;
	line->len -= IDMAP_CRC_LEN;
	if (!next_crc(&tail, &sum) || line->p[line->len - 1] != ' ' ||
	    idmap_crc(crc, 0, line->p, line->len) != sum)
		return false;
	line->len--;
	return true;
}

static void line_seal(const struct idmap_crc *crc, struct buf *buf,
		      size_t start)
{
	buf_append_c(buf, ' ');
	buf_printf(buf, "%08"PRIx32"\n",
		   idmap_crc(crc, 0, buf->p + start, buf->len - start));
}

/* --- lines --------------------------------------------------------------- */

const char *idmap_parse_header(const struct idmap_crc *crc, struct view line,
			       struct idmap_header *header_r)
{
	struct view word, whole = line;
	uint64_t version;

	if (!next_is(&line, IDMAP_MAGIC))
		return "it is not a dovebridge map";
	if (!next_number(&line, UINT32_MAX, &version))
		return "the header has no version";
	if (version != IDMAP_VERSION)
		return "its version is not one that this program knows";
	if (!line_unseal(crc, &whole) || line.len <= IDMAP_CRC_LEN + 1)
		return "the header's checksum is wrong";
	line.len -= IDMAP_CRC_LEN + 1;
	if (!next_uid(&line, UINT32_MAX, &header_r->uidvalidity))
		return "the header has a bad UIDVALIDITY";
	if (!word_next(&line, &word) ||
	    !word_hex(word, header_r->guid, IDMAP_GUID_SIZE))
		return "the header has a bad GUID";
	if (!next_uid(&line, UINT32_MAX, &header_r->generation))
		return "the header has a bad generation";
	/* further words are for later versions */
	return NULL;
}

const char *idmap_parse_commit(const struct idmap_crc *crc, struct view line,
			       struct idmap_commit *commit_r)
{
	if (!line_unseal(crc, &line))
		return "a commit line's checksum is wrong";
	if (!next_is(&line, "C") ||
	    !next_number(&line, INT64_MAX, &commit_r->start) ||
	    !next_uid(&line, UINT32_MAX, &commit_r->next_uid) ||
	    !next_time(&line, &commit_r->brake) ||
	    !next_number(&line, INT64_MAX, &commit_r->dead) ||
	    !word_next(&line, &commit_r->state) ||
	    !idmap_state_is_sound(commit_r->state) ||
	    !next_crc(&line, &commit_r->body_crc) || line.len > 0)
		return "a commit line is malformed";
	return NULL;
}

const char *idmap_parse_message(struct view line, struct idmap_entry *entry_r)
{
	bool update = line.len > 0 && line.p[0] == 'U';
	struct view word;

	memset(entry_r, 0, sizeof(*entry_r));
	if (!next_is(&line, update ? "U" : "A"))
		return "a message's line is malformed";
	if (!next_uid(&line, WIRE_UID_MAX, &entry_r->uid))
		return "a message's line has a bad UID";
	if (!word_next(&line, &entry_r->id) || !idmap_id_is_sound(entry_r->id))
		return "a message's line has a bad id";
	if (!next_size(&line, &entry_r->size) ||
	    !next_date(&line, entry_r) ||
	    !next_time(&line, &entry_r->first_seen))
		return "a message's line has a bad number";
	if (!update && !word_next(&line, &entry_r->flags))
		return "a message's line has no flags";
	if (entry_r->flags.len == 1 && entry_r->flags.p[0] == '-')
		entry_r->flags.len = 0;
	else if (!idmap_flags_list_is_sound(entry_r->flags))
		return "a message's line has bad flags";
	entry_r->has_guid = line.len > 0;
	if (entry_r->has_guid &&
	    (!word_next(&line, &word) ||
	     !word_hex(word, entry_r->guid, IDMAP_GUID_SIZE)))
		return "a message's line has a bad GUID";
	return line.len > 0 ? "a message's line has too many words" : NULL;
}

const char *idmap_parse_gone(struct view line, uint32_t *uid_r)
{
	if (!next_is(&line, "G") || !next_uid(&line, WIRE_UID_MAX, uid_r) ||
	    line.len > 0)
		return "a G line is malformed";
	return NULL;
}

const char *idmap_parse_flags(struct view line, uint32_t *uid1_r,
			      uint32_t *uid2_r, struct view *change_r)
{
	if (!next_is(&line, "F") || !next_uid(&line, WIRE_UID_MAX, uid1_r) ||
	    !next_uid(&line, WIRE_UID_MAX, uid2_r) || *uid1_r > *uid2_r ||
	    !word_next(&line, change_r) || line.len > 0 ||
	    change_r->len > IDMAP_CHANGE_MAX ||
	    !idmap_flags_change_is_sound(*change_r))
		return "an F line is malformed";
	return NULL;
}

const char *idmap_parse_suspect(struct view line, uint32_t *uid_r,
				int64_t *since_r)
{
	if (!next_is(&line, "B") || !next_uid(&line, WIRE_UID_MAX, uid_r) ||
	    !next_time(&line, since_r) || line.len > 0)
		return "a B line is malformed";
	return NULL;
}

static void write_guid(struct buf *buf,
		       const unsigned char guid[IDMAP_GUID_SIZE])
{
	size_t i;

	for (i = 0; i < IDMAP_GUID_SIZE; i++)
		buf_printf(buf, "%02x", guid[i]);
}

void idmap_write_header(const struct idmap_crc *crc, struct buf *buf,
			const struct idmap_header *header)
{
	size_t start = buf->len;

	buf_printf(buf, "%s %d %"PRIu32" ", IDMAP_MAGIC, IDMAP_VERSION,
		   header->uidvalidity);
	write_guid(buf, header->guid);
	buf_printf(buf, " %"PRIu32, header->generation);
	line_seal(crc, buf, start);
}

void idmap_write_commit(const struct idmap_crc *crc, struct buf *buf,
			const struct idmap_commit *commit)
{
	size_t start = buf->len;

	buf_printf(buf, "C %"PRIu64" %"PRIu32" %"PRId64" %"PRIu64" ",
		   commit->start, commit->next_uid, commit->brake,
		   commit->dead);
	buf_append_view(buf, commit->state);
	buf_printf(buf, " %08"PRIx32, commit->body_crc);
	line_seal(crc, buf, start);
}

static void write_number(struct buf *buf, uint64_t num)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + num % 10);
		num /= 10;
	} while (num > 0);
	buf_append(buf, digits + i, sizeof(digits) - i);
}

void idmap_write_message(struct buf *buf, char type,
			 const struct idmap_entry *entry)
{
	buf_append_c(buf, type);
	buf_append_c(buf, ' ');
	write_number(buf, entry->uid);
	buf_append_c(buf, ' ');
	buf_append_view(buf, entry->id);
	buf_append_c(buf, ' ');
	if (entry->size == WIRE_SIZE_UNKNOWN)
		buf_append_c(buf, '-');
	else
		write_number(buf, entry->size);
	buf_append_c(buf, ' ');
	if (entry->date < 0)
		buf_append_c(buf, '-');
	if (entry->date >= 0)
		write_number(buf, (uint64_t)entry->date);
	else if (entry->seen_before > 0)
		write_number(buf, (uint64_t)entry->seen_before);
	buf_append_c(buf, ' ');
	write_number(buf, entry->first_seen < 0 ? 0 :
		     (uint64_t)entry->first_seen);
	if (type == 'A') {
		buf_append_c(buf, ' ');
		if (entry->flags.len == 0)
			buf_append_c(buf, '-');
		else
			idmap_flags_canonical(entry->flags, buf);
	}
	if (entry->has_guid) {
		buf_append_c(buf, ' ');
		write_guid(buf, entry->guid);
	}
	buf_append_c(buf, '\n');
}
