// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <string.h>

#include "lib/pcapng.h"

/* Block types, option codes and numbers of the draft. */
enum {
	BLOCK_SECTION = 0x0A0D0D0A,
	BLOCK_INTERFACE = 1,
	BLOCK_STATISTICS = 5,
	BLOCK_PACKET = 6,
	BYTE_ORDER = 0x1A2B3C4D,
	LINKTYPE_ETHERNET = 1,
	OPT_END = 0,
	OPT_COMMENT = 1,
	OPT_SECTION_APPLICATION = 4,
	OPT_IF_NAME = 2,
	OPT_IF_DESCRIPTION = 3,
	OPT_IF_TSRESOL = 9,
	OPT_PACKET_FLAGS = 2,
	OPT_STATISTICS_IFDROP = 5,
	TSRESOL_NS = 9, /* 10^-9 s */
	FLAG_INBOUND = 1,
};

/* The block with the most options, an interface: body, three options of two parts, end. */
enum { PART_MAX = 8 };

/* A block is put together from parts, each of them padded to 32 bits. */
struct part {
	const void *data;
	size_t len;
};

struct block {
	uint32_t type;
	unsigned int n;
	struct part part[PART_MAX];
	struct {
		uint16_t code, len;
	} option[PART_MAX];
};

static size_t padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

static void add(struct block *b, const void *data, size_t len)
{
	b->part[b->n++] = (struct part){ data, len };
}

/* Option code and length in front of the value; the value itself must live until the block is written. */
static void add_option(struct block *b, uint16_t code, const void *value, size_t len)
{
	unsigned int n = b->n;

	b->option[n].code = code;
	b->option[n].len = (uint16_t)len;
	add(b, &b->option[n], sizeof(b->option[n]));
	if (len)
		add(b, value, len);
}

static void add_text(struct block *b, uint16_t code, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	if (len)
		add_option(b, code, text, len > UINT16_MAX ? UINT16_MAX : len);
}

static int block_write(struct svr_pcapng *p, struct block *b)
{
	static const uint8_t zeros[4];
	uint32_t total = 3 * sizeof(uint32_t);
	unsigned int i;

	for (i = 0; i < b->n; i++)
		total += (uint32_t)padded(b->part[i].len);
	errno = 0;
	fwrite(&b->type, sizeof(b->type), 1, p->to);
	fwrite(&total, sizeof(total), 1, p->to);
	for (i = 0; i < b->n; i++) {
		fwrite(b->part[i].data, 1, b->part[i].len, p->to);
		fwrite(zeros, 1, padded(b->part[i].len) - b->part[i].len, p->to);
	}
	fwrite(&total, sizeof(total), 1, p->to);
	if (!ferror(p->to))
		return 0;
	return errno ? -errno : -EIO;
}

int svr_pcapng_begin(struct svr_pcapng *p, FILE *to, const char *application)
{
	const struct {
		uint32_t order;
		uint16_t major, minor;
		uint64_t length; /* of the section: not known */
	} __attribute__((packed)) body = { BYTE_ORDER, 1, 0, UINT64_MAX };
	struct block b = { .type = BLOCK_SECTION };

	*p = (struct svr_pcapng){ .to = to };
	add(&b, &body, sizeof(body));
	add_text(&b, OPT_SECTION_APPLICATION, application);
	add_option(&b, OPT_END, NULL, 0);
	return block_write(p, &b);
}

int svr_pcapng_interface(struct svr_pcapng *p, const char *name, const char *description,
			 uint32_t snaplen)
{
	const struct {
		uint16_t linktype, reserved;
		uint32_t snaplen;
	} body = { LINKTYPE_ETHERNET, 0, snaplen };
	const uint8_t resolution = TSRESOL_NS;
	struct block b = { .type = BLOCK_INTERFACE };
	int err;

	add(&b, &body, sizeof(body));
	add_text(&b, OPT_IF_NAME, name);
	add_text(&b, OPT_IF_DESCRIPTION, description);
	add_option(&b, OPT_IF_TSRESOL, &resolution, sizeof(resolution));
	add_option(&b, OPT_END, NULL, 0);
	err = block_write(p, &b);
	if (!err)
		p->interfaces++;
	return err;
}

int svr_pcapng_packet(struct svr_pcapng *p, uint32_t interface, uint64_t time_ns, const void *data,
		      uint32_t caplen, uint32_t len, const char *comment)
{
	const uint32_t body[] = { interface, (uint32_t)(time_ns >> 32), (uint32_t)time_ns, caplen,
				  len };
	const uint32_t flags = FLAG_INBOUND;
	struct block b = { .type = BLOCK_PACKET };

	add(&b, body, sizeof(body));
	add(&b, data, caplen);
	add_text(&b, OPT_COMMENT, comment);
	add_option(&b, OPT_PACKET_FLAGS, &flags, sizeof(flags));
	add_option(&b, OPT_END, NULL, 0);
	return block_write(p, &b);
}

int svr_pcapng_missed(struct svr_pcapng *p, uint32_t interface, uint64_t time_ns, uint64_t missed)
{
	const uint32_t body[] = { interface, (uint32_t)(time_ns >> 32), (uint32_t)time_ns };
	struct block b = { .type = BLOCK_STATISTICS };

	add(&b, body, sizeof(body));
	add_option(&b, OPT_STATISTICS_IFDROP, &missed, sizeof(missed));
	add_option(&b, OPT_END, NULL, 0);
	return block_write(p, &b);
}
