// SPDX-License-Identifier: BSD-2-Clause
/* Protection of one packet: layout of what is encrypted and signed, sizes. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <openssl/crypto.h>

#include <svr/drops.h>

#include "worker/seal.h"

enum {
	TCP_SIGNED_FROM = 4, /* sequence number: ports may be changed by a NAT */
	GCM_TRAILER_LEN = SVR_GCM_EXPLICIT_LEN + SVR_GCM_TAG_LEN,
};

/* ---- sizes --------------------------------------------------------------------------------- */

/* Bytes behind the ciphertext that belong to the cipher. */
static size_t cipher_trailer_len(uint8_t cipher)
{
	if (svr_cipher_is_gcm(cipher))
		return GCM_TRAILER_LEN;
	return cipher != SVR_CIPHER_NONE ? SVR_BLOCK_LEN : 0;
}

size_t svr_seal_tag_len(uint8_t cipher, uint8_t hmac, bool meta)
{
	return svr_cipher_is_gcm(cipher) && !meta ? 0 : svr_hmac_tag_len(hmac);
}

size_t svr_seal_trailer_len(uint8_t cipher, uint8_t hmac, bool meta)
{
	return cipher_trailer_len(cipher) + svr_seal_tag_len(cipher, hmac, meta);
}

size_t svr_seal_len(uint8_t cipher, uint8_t hmac, bool meta, size_t len)
{
	if (svr_cipher_is_cbc(cipher) && len > 0)
		len = svr_cbc_len(len);
	return len + svr_seal_trailer_len(cipher, hmac, meta);
}

size_t svr_seal_overhead(uint8_t cipher, uint8_t hmac)
{
	return svr_seal_trailer_len(cipher, hmac, false) +
	       (svr_cipher_is_cbc(cipher) ? SVR_BLOCK_LEN : 0);
}

uint16_t svr_seal_host_mtu(uint8_t cipher, uint8_t hmac, uint16_t limit, size_t front,
			   size_t inside, uint8_t proto, uint8_t family)
{
	const size_t udp_headers = svr_ip_len(family) + SVR_UDP_LEN;
	const size_t least = family == SVR_FAMILY_6 ? SVR_MIN_MTU6 : SVR_MIN_MTU;
	const size_t trailer = svr_seal_trailer_len(cipher, hmac, front > 0);
	size_t taken = front + inside + trailer, mtu = 0, room;

	if (svr_cipher_is_cbc(cipher) && proto == IPPROTO_UDP) {
		/*
		 * Headers of one length, so the padding is known: the longest plain text of whole
		 * blocks ends one byte earlier.
		 */
		room = udp_headers + front + trailer;
		room = limit > room ? (limit - room) / SVR_BLOCK_LEN * SVR_BLOCK_LEN : 0;
		if (room > inside)
			mtu = udp_headers + room - 1 - inside;
	} else {
		if (svr_cipher_is_cbc(cipher))
			taken += SVR_BLOCK_LEN;
		if (limit > taken)
			mtu = limit - taken;
	}
	return (uint16_t)(mtu < least ? least : mtu);
}

/* ---- layout -------------------------------------------------------------------------------- */

static void put64(uint8_t out[static 8], uint64_t value)
{
	int i;

	for (i = 0; i < 8; i++)
		out[i] = (uint8_t)(value >> (56 - 8 * i));
}

/* The bytes of the input that are not sent. */
static void unsent_fill(uint8_t out[static SVR_UNSENT_LEN], const struct svr_seal_input *in)
{
	put64(out, in->window);
	if (in->uuid)
		memcpy(out + 8, in->uuid, SVR_UUID_LEN);
	else
		memset(out + 8, 0, SVR_UUID_LEN);
	out[8 + SVR_UUID_LEN] = in->dir;
}

/* The L4 part of an input, with a checksum of zero. Its length. */
static size_t l4_part(uint8_t out[static SVR_TCP_MAX_LEN], const struct svr_pkt *p)
{
	struct svr_tcp *tcp = (struct svr_tcp *)out;

	if (p->proto != IPPROTO_TCP)
		return 0;
	memcpy(out, p->l4, p->l4_len);
	tcp->csum = 0;
	memmove(out, out + TCP_SIGNED_FROM, p->l4_len - (size_t)TCP_SIGNED_FROM);
	return p->l4_len - (size_t)TCP_SIGNED_FROM;
}

static void aad_fill(struct svr_seal *seal, const struct svr_seal_input *in,
		     const struct svr_pkt *p)
{
	size_t len = l4_part(seal->aad, p);

	unsent_fill(seal->aad + len, in);
	seal->job.aad = seal->aad;
	seal->job.aad_len = len + SVR_UNSENT_LEN;
}

/* Header and payload stand next to each other: one piece, and the unsent bytes follow it. */
static void input_lay_out(struct svr_seal *seal, struct svr_hmac_key *k, size_t payload_len,
			  const struct svr_seal_input *in, struct svr_pkt *p)
{
	const bool tcp = p->proto == IPPROTO_TCP;
	uint8_t *from = tcp ? p->l4 + TCP_SIGNED_FROM : p->payload;
	uint8_t *end = p->payload + payload_len;

	if (tcp)
		svr_packet_tcp(p)->csum = 0;
	unsent_fill(end, in);
	seal->job.hmac = k;
	seal->job.input = from;
	seal->job.input_len = (size_t)(end - from) + SVR_UNSENT_LEN;
}

/* ---- to the peer --------------------------------------------------------------------------- */

void svr_seal_begin(struct svr_seal *seal)
{
	seal->job = (struct svr_crypt_job){ 0 };
}

static int gcm_text(struct svr_seal *seal, struct svr_cipher_key *k, uint16_t epoch,
		    uint64_t counter, struct svr_pkt *p)
{
	uint8_t *explicit_part = p->payload + p->payload_len;

	explicit_part[0] = epoch >> 8;
	explicit_part[1] = epoch & 0xff;
	put64(explicit_part + sizeof(epoch), counter);
	if (svr_gcm_nonce(k, explicit_part, seal->nonce))
		return -SVR_DROP_INTERNAL;
	seal->job.iv = seal->nonce;
	seal->job.gcm_tag = explicit_part + SVR_GCM_EXPLICIT_LEN;
	p->payload_len = (uint16_t)(p->payload_len + GCM_TRAILER_LEN);
	return 0;
}

int svr_seal_text(struct svr_crypt *c, struct svr_seal *seal, struct svr_cipher_key *k,
		  uint16_t epoch, uint64_t counter, struct svr_pkt *p)
{
	const bool gcm = svr_cipher_is_gcm(svr_cipher_of(k));
	uint8_t *iv;

	svr_seal_begin(seal);
	if (svr_packet_tailroom(p) < 2 * SVR_BLOCK_LEN)
		return -SVR_DROP_TOO_BIG;
	seal->job.cipher = k;
	seal->job.text = p->payload;
	seal->job.text_len = p->payload_len;
	if (gcm)
		return gcm_text(seal, k, epoch, counter, p);
	if (p->payload_len > 0)
		seal->job.text_len = svr_pad(p->payload, p->payload_len);
	iv = p->payload + seal->job.text_len;
	if (svr_iv_make(c, k, epoch, counter, iv))
		return -SVR_DROP_INTERNAL;
	seal->job.iv = iv;
	p->payload_len = (uint16_t)(seal->job.text_len + SVR_BLOCK_LEN);
	return 0;
}

int svr_seal_tag(struct svr_seal *seal, struct svr_hmac_key *k, size_t tag_len,
		 const struct svr_seal_input *in, struct svr_pkt *p)
{
	const size_t room = tag_len > SVR_UNSENT_LEN ? tag_len : SVR_UNSENT_LEN;

	if (seal->job.gcm_tag)
		aad_fill(seal, in, p);
	if (!k)
		return 0;
	if (svr_packet_tailroom(p) < room)
		return -SVR_DROP_TOO_BIG;
	input_lay_out(seal, k, p->payload_len, in, p);
	seal->job.tag = p->payload + p->payload_len;
	return 0;
}

int svr_seal_done(const struct svr_seal *seal, size_t tag_len, struct svr_pkt *p)
{
	if (seal->job.err)
		return -SVR_DROP_INTERNAL;
	p->payload_len = (uint16_t)(p->payload_len + tag_len);
	return 0;
}

/* ---- from the peer ------------------------------------------------------------------------- */

bool svr_seal_check(struct svr_seal *seal, struct svr_hmac_key *k, size_t tag_len,
		    const struct svr_seal_input *in, struct svr_pkt *p)
{
	const size_t len = p->payload_len - tag_len;

	if (svr_packet_tailroom(p) + tag_len < SVR_UNSENT_LEN)
		return false;
	svr_seal_begin(seal);
	memcpy(seal->kept, p->payload + len, sizeof(seal->kept));
	if (p->proto == IPPROTO_TCP)
		seal->csum = svr_packet_tcp(p)->csum;
	input_lay_out(seal, k, len, in, p);
	seal->job.tag = seal->tag;
	return true;
}

bool svr_seal_checked(struct svr_seal *seal, size_t tag_len, struct svr_pkt *p)
{
	uint8_t *tag = p->payload + p->payload_len - tag_len;
	bool right;

	memcpy(tag, seal->kept, sizeof(seal->kept));
	if (p->proto == IPPROTO_TCP)
		svr_packet_tcp(p)->csum = seal->csum;
	right = !seal->job.err && CRYPTO_memcmp(seal->tag, tag, tag_len) == 0;
	/* the right tag of a forged packet must not be left lying about */
	OPENSSL_cleanse(seal->tag, sizeof(seal->tag));
	return right;
}

bool svr_seal_verify(struct svr_crypt *c, struct svr_hmac_key *k, size_t tag_len,
		     const struct svr_seal_input *in, const struct svr_pkt *p)
{
	size_t len = p->payload_len - tag_len;
	uint8_t unsent[SVR_UNSENT_LEN], header[SVR_TCP_MAX_LEN];
	struct svr_bytes pieces[3] = { { header, l4_part(header, p) },
				       { p->payload, len },
				       { unsent, sizeof(unsent) } };

	unsent_fill(unsent, in);
	return svr_hmac_verify(c, k, pieces, 3, p->payload + len) == 0;
}

int svr_seal_counter(struct svr_crypt *c, struct svr_cipher_key *k, size_t tag_len,
		     const struct svr_pkt *p, uint16_t *epoch, uint64_t *counter)
{
	const uint8_t *end = p->payload + p->payload_len - tag_len;
	size_t i;

	if (!svr_cipher_is_gcm(svr_cipher_of(k)))
		return svr_iv_open(c, k, end - SVR_BLOCK_LEN, epoch, counter);
	end -= GCM_TRAILER_LEN;
	*epoch = (uint16_t)(end[0] << 8 | end[1]);
	*counter = 0;
	for (i = 0; i < sizeof(*counter); i++)
		*counter = *counter << 8 | end[sizeof(*epoch) + i];
	return 0;
}

int svr_seal_open(struct svr_seal *seal, struct svr_cipher_key *k, const struct svr_seal_input *in,
		  struct svr_pkt *p)
{
	const uint8_t cipher = svr_cipher_of(k);

	svr_seal_begin(seal);
	seal->job.cipher = k;
	seal->job.text = p->payload;
	seal->job.text_len = p->payload_len - cipher_trailer_len(cipher);
	seal->job.iv = p->payload + seal->job.text_len;
	if (!svr_cipher_is_gcm(cipher))
		return 0;
	if (svr_gcm_nonce(k, seal->job.iv, seal->nonce))
		return -SVR_DROP_INTERNAL;
	seal->job.gcm_tag = seal->job.text + seal->job.text_len + SVR_GCM_EXPLICIT_LEN;
	seal->job.iv = seal->nonce;
	aad_fill(seal, in, p);
	return 0;
}

int svr_seal_opened(struct svr_seal *seal, struct svr_pkt *p)
{
	int len = (int)seal->job.text_len;

	if (seal->job.err == -EBADMSG)
		return -SVR_DROP_HMAC;
	if (seal->job.err)
		return -SVR_DROP_INTERNAL;
	if (!seal->job.gcm_tag && len > 0)
		len = svr_unpad(p->payload, (size_t)len);
	if (len < 0)
		return -SVR_DROP_PADDING;
	p->payload_len = (uint16_t)len;
	return 0;
}

int svr_seal_again(struct svr_crypt *c, struct svr_seal *seal, const struct svr_seal_input *in,
		   const struct svr_pkt *p)
{
	struct svr_crypt_job back = seal->job, *one = &back;
	uint8_t tag[SVR_GCM_TAG_LEN];

	/* Counter mode: encrypting again undoes it */
	back.gcm_tag = tag;
	svr_crypt_seal(c, &one, 1);
	OPENSSL_cleanse(tag, sizeof(tag));
	aad_fill(seal, in, p);
	return back.err ? -SVR_DROP_INTERNAL : 0;
}
