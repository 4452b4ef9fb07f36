// SPDX-License-Identifier: BSD-2-Clause
/* Protection of one packet: encryption, tag, sizes. */
#include <netinet/in.h>
#include <string.h>

#include <svr/drops.h>

#include "worker/seal.h"

enum {
	TCP_SIGNED_FROM = 4, /* sequence number: ports may be changed by a NAT */
	UNSENT_LEN = 8 + SVR_UUID_LEN + 1,
};

size_t svr_seal_trailer_len(uint8_t cipher, uint8_t hmac)
{
	return (cipher != SVR_CIPHER_NONE ? SVR_BLOCK_LEN : 0) + svr_hmac_tag_len(hmac);
}

size_t svr_seal_len(uint8_t cipher, uint8_t hmac, size_t len)
{
	if (cipher != SVR_CIPHER_NONE && len > 0)
		len = svr_cbc_len(len);
	return len + svr_seal_trailer_len(cipher, hmac);
}

size_t svr_seal_overhead(uint8_t cipher, uint8_t hmac)
{
	return svr_seal_trailer_len(cipher, hmac) + (cipher != SVR_CIPHER_NONE ? SVR_BLOCK_LEN : 0);
}

uint16_t svr_seal_host_mtu(uint8_t cipher, uint8_t hmac, uint16_t limit, size_t front,
			   size_t inside, uint8_t proto, uint8_t family)
{
	const size_t udp_headers = svr_ip_len(family) + SVR_UDP_LEN;
	const size_t least = family == SVR_FAMILY_6 ? SVR_MIN_MTU6 : SVR_MIN_MTU;
	size_t taken = front + inside, mtu = 0, room;

	if (cipher != SVR_CIPHER_NONE && proto == IPPROTO_UDP) {
		/*
		 * Headers of one length, so the padding is known: the longest plain text of whole
		 * blocks ends one byte earlier.
		 */
		room = udp_headers + front + svr_seal_trailer_len(cipher, hmac);
		room = limit > room ? (limit - room) / SVR_BLOCK_LEN * SVR_BLOCK_LEN : 0;
		if (room > inside)
			mtu = udp_headers + room - 1 - inside;
	} else {
		taken += svr_seal_overhead(cipher, hmac);
		if (limit > taken)
			mtu = limit - taken;
	}
	return (uint16_t)(mtu < least ? least : mtu);
}

int svr_seal_encrypt(struct svr_crypt *c, struct svr_cipher_key *k, uint16_t epoch,
		     uint64_t counter, struct svr_pkt *p)
{
	uint8_t iv[SVR_BLOCK_LEN];
	int len = 0;

	if (svr_packet_tailroom(p) < 2 * SVR_BLOCK_LEN)
		return -SVR_DROP_TOO_BIG;
	if (svr_iv_make(c, k, epoch, counter, iv))
		return -SVR_DROP_INTERNAL;
	if (p->payload_len > 0)
		len = svr_cbc_encrypt(c, k, iv, p->payload, p->payload_len);
	if (len < 0)
		return -SVR_DROP_INTERNAL;
	memcpy(p->payload + len, iv, sizeof(iv));
	p->payload_len = (uint16_t)((size_t)len + sizeof(iv));
	return 0;
}

/* The bytes of the input that are not sent. */
static void unsent_fill(uint8_t out[static UNSENT_LEN], const struct svr_seal_input *in)
{
	int i;

	for (i = 0; i < 8; i++)
		out[i] = (uint8_t)(in->window >> (56 - 8 * i));
	if (in->uuid)
		memcpy(out + 8, in->uuid, SVR_UUID_LEN);
	else
		memset(out + 8, 0, SVR_UUID_LEN);
	out[8 + SVR_UUID_LEN] = in->dir;
}

int svr_seal_sign(struct svr_crypt *c, struct svr_hmac_key *k, size_t tag_len,
		  const struct svr_seal_input *in, struct svr_pkt *p)
{
	uint8_t unsent[UNSENT_LEN];
	struct svr_bytes pieces[2] = { { p->payload, p->payload_len }, { unsent, sizeof(unsent) } };

	if (svr_packet_tailroom(p) < tag_len)
		return -SVR_DROP_TOO_BIG;
	unsent_fill(unsent, in);
	if (p->proto == IPPROTO_TCP) {
		/* Header and payload stand next to each other: one piece */
		svr_packet_tcp(p)->csum = 0;
		pieces[0].data = p->l4 + TCP_SIGNED_FROM;
		pieces[0].len += p->l4_len - (size_t)TCP_SIGNED_FROM;
	}
	if (svr_hmac_sign(c, k, pieces, 2, p->payload + p->payload_len))
		return -SVR_DROP_INTERNAL;
	p->payload_len = (uint16_t)(p->payload_len + tag_len);
	return 0;
}

bool svr_seal_verify(struct svr_crypt *c, struct svr_hmac_key *k, size_t tag_len,
		     const struct svr_seal_input *in, const struct svr_pkt *p)
{
	size_t len = p->payload_len - tag_len;
	uint8_t unsent[UNSENT_LEN], header[SVR_TCP_MAX_LEN];
	struct svr_bytes pieces[3] = { { header, 0 },
				       { p->payload, len },
				       { unsent, sizeof(unsent) } };

	unsent_fill(unsent, in);
	if (p->proto == IPPROTO_TCP) {
		/* A copy, since the checksum field counts as zero and is still needed */
		memcpy(header, p->l4, p->l4_len);
		((struct svr_tcp *)header)->csum = 0;
		pieces[0].data = header + TCP_SIGNED_FROM;
		pieces[0].len = p->l4_len - (size_t)TCP_SIGNED_FROM;
	}
	return svr_hmac_verify(c, k, pieces, 3, p->payload + len) == 0;
}
