/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes captures in the pcapng format (draft-ietf-opsawg-pcapng): one section in the byte order of this machine, an
 * interface description for each interface, and enhanced packet blocks whose comment says what became of the packet. Part
 * of libsvr.
 */
#ifndef SVR_LIB_PCAPNG_H
#define SVR_LIB_PCAPNG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct svr_pcapng {
	FILE *to; /* the caller's */
	uint32_t interfaces; /* described so far */
};

/* All return 0 or negative errno of the write; after an error the file ends inside a block. */

/* Section header. @application: who writes, e.g. "svr 0.1" */
int svr_pcapng_begin(struct svr_pcapng *p, FILE *to, const char *application);

/**
 * svr_pcapng_interface() - describe an Ethernet interface; the first one gets number 0.
 * @snaplen: longest packet that will be written, bytes; 0: no limit
 */
int svr_pcapng_interface(struct svr_pcapng *p, const char *name, const char *description,
			 uint32_t snaplen);

/**
 * svr_pcapng_packet() - one received packet.
 * @interface: number, from 0
 * @time_ns: nanoseconds since 1970
 * @data, @caplen: what was kept of it; @len: its length on the wire; bytes
 * @comment: UTF-8; NULL: none
 */
int svr_pcapng_packet(struct svr_pcapng *p, uint32_t interface, uint64_t time_ns, const void *data,
		      uint32_t caplen, uint32_t len, const char *comment);

/* At the end: packets that @interface has lost because the reader was too slow. */
int svr_pcapng_missed(struct svr_pcapng *p, uint32_t interface, uint64_t time_ns, uint64_t missed);

#endif
