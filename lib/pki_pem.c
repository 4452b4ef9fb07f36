// SPDX-License-Identifier: BSD-2-Clause
/*
 * PEM (RFC 7468) as it comes from operators and from servers: certificates or one list, comments in
 * front of each, and nothing else. libcrypto's reader skips what it does not know, which is how a
 * private key gets into a certificate's file unseen; so the blocks are found here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "lib/pki_internal.h"

static const char pem_begin[] = "-----BEGIN ", pem_end[] = "-----END ", pem_dashes[] = "-----";

struct pem_block {
	const char *begin, *end; /* with both lines */
	const char *label;
	size_t label_len;
};

/* The end of @line without line break and blanks. */
static const char *line_end(const char *line, const char *end)
{
	const char *stop = memchr(line, '\n', (size_t)(end - line));

	if (!stop)
		stop = end;
	while (stop > line && (stop[-1] == '\r' || stop[-1] == ' ' || stop[-1] == '\t'))
		stop--;
	return stop;
}

/* A line "-----BEGIN label-----". @what: pem_begin or pem_end */
static bool is_line(const char *line, const char *end, const char *what, struct pem_block *b)
{
	const char *stop = line_end(line, end);
	size_t len = (size_t)(stop - line), head = strlen(what), tail = strlen(pem_dashes);

	if (len <= head + tail || memcmp(line, what, head) != 0 ||
	    memcmp(stop - tail, pem_dashes, tail) != 0)
		return false;
	b->label = line + head;
	b->label_len = len - head - tail;
	return true;
}

static const char *next_line(const char *line, const char *end)
{
	const char *stop = memchr(line, '\n', (size_t)(end - line));

	return stop ? stop + 1 : end;
}

/* 1 and the next block, 0 at the end of the text, -EBADMSG for one that does not end. */
static int pem_next(const char **at, const char *end, struct pem_block *b)
{
	struct pem_block closing;
	const char *line;

	for (line = *at; line < end && !is_line(line, end, pem_begin, b);
	     line = next_line(line, end))
		;
	if (line == end)
		return 0;
	b->begin = line;
	for (line = next_line(line, end); line < end; line = next_line(line, end)) {
		if (is_line(line, end, pem_begin, &closing))
			return -EBADMSG;
		if (!is_line(line, end, pem_end, &closing))
			continue;
		if (closing.label_len != b->label_len ||
		    memcmp(closing.label, b->label, b->label_len) != 0)
			return -EBADMSG;
		*at = b->end = next_line(line, end);
		return 1;
	}
	return -EBADMSG;
}

static bool label_is(const struct pem_block *b, const char *label)
{
	return b->label_len == strlen(label) && memcmp(b->label, label, b->label_len) == 0;
}

static bool is_certificate(const struct pem_block *b)
{
	return label_is(b, PEM_STRING_X509) || label_is(b, PEM_STRING_X509_OLD);
}

/* "PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY", ... */
static bool is_private_key(const struct pem_block *b)
{
	static const char word[] = "PRIVATE KEY";
	size_t len = sizeof(word) - 1;

	return b->label_len >= len && memcmp(b->label + b->label_len - len, word, len) == 0;
}

/* A key without its dashes, or in a block that is broken, is a key as well. */
static bool mentions_private_key(const char *text, size_t len)
{
	return memmem(text, len, "PRIVATE KEY-----", 16) != NULL;
}

static int block_der(const struct pem_block *b, uint8_t **der, size_t *der_len)
{
	BIO *bio = BIO_new_mem_buf(b->begin, (int)(b->end - b->begin));
	char *name = NULL, *header = NULL;
	unsigned char *data = NULL;
	long len = 0;
	int ret = -EBADMSG;

	if (!bio)
		return -ENOMEM;
	if (PEM_read_bio(bio, &name, &header, &data, &len) == 1 && len > 0 && !header[0]) {
		*der = data;
		*der_len = (size_t)len;
		data = NULL;
		ret = 0;
	}
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(data);
	BIO_free(bio);
	ERR_clear_error();
	return ret;
}

static int add_cert(const struct pem_block *b, STACK_OF(X509) * out, struct svr_pki_report *r)
{
	int number = sk_X509_num(out) + 1, ret;
	enum svr_pki_verdict v;
	uint8_t *der = NULL;
	X509 *cert = NULL;
	size_t len = 0;

	ret = block_der(b, &der, &len);
	if (ret == -EBADMSG)
		svr_pki_refuse(r, SVR_PKI_UNPARSABLE,
			       "certificate %d cannot be read: its PEM is broken", number);
	if (ret)
		return ret;
	v = svr_pki_cert_read(der, len, &cert);
	OPENSSL_free(der);
	if (v != SVR_PKI_OK) {
		svr_pki_refuse(r, v,
			       v == SVR_PKI_TRAILING_DATA ?
				       "something stands behind certificate %d" :
				       "certificate %d cannot be read: it is not X.509 in DER",
			       number);
		return -EBADMSG;
	}
	if (sk_X509_push(out, cert) > 0)
		return 0;
	X509_free(cert);
	return -ENOMEM;
}

/* Text in front of a block explains it; behind the last one there is nothing left to explain. */
static bool only_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	return p == end;
}

int svr_pki_pem_certs(const char *text, size_t len, unsigned int max, STACK_OF(X509) * out,
		      struct svr_pki_report *r)
{
	const char *at = text, *end = text + len;
	struct pem_block b;
	int ret;

	svr_pki_refuse(r, SVR_PKI_INTERNAL, "out of memory");
	if (mentions_private_key(text, len)) {
		svr_pki_refuse(r, SVR_PKI_PRIVATE_KEY,
			       "a private key accompanies the certificate: hand over the "
			       "certificate alone, and take the key for compromised");
		return -EBADMSG;
	}
	while ((ret = pem_next(&at, end, &b)) == 1) {
		if (is_private_key(&b) || !is_certificate(&b)) {
			svr_pki_refuse(r, SVR_PKI_UNPARSABLE,
				       "%.*s beside the certificates: only certificates are taken",
				       (int)(b.label_len < 40 ? b.label_len : 40), b.label);
			return -EBADMSG;
		}
		if ((unsigned int)sk_X509_num(out) == max) {
			svr_pki_refuse(r, SVR_PKI_TOO_MANY, "more than %u certificates", max);
			return -E2BIG;
		}
		ret = add_cert(&b, out, r);
		if (ret)
			return ret;
	}
	if (ret) {
		svr_pki_refuse(r, SVR_PKI_UNPARSABLE, "a PEM block begins and does not end");
		return -EBADMSG;
	}
	if (sk_X509_num(out) == 0) {
		svr_pki_refuse(r, SVR_PKI_UNPARSABLE, "no certificate in PEM");
		return -EBADMSG;
	}
	if (!only_blanks(at, end)) {
		svr_pki_refuse(r, SVR_PKI_TRAILING_DATA, "text stands behind the last certificate");
		return -EBADMSG;
	}
	return 0;
}

int svr_pki_pem_one(const char *text, size_t len, const char *label, uint8_t **der, size_t *der_len)
{
	const char *at = text, *end = text + len;
	struct pem_block b;
	int ret;

	ret = pem_next(&at, end, &b);
	if (ret != 1 || !label_is(&b, label))
		return -EBADMSG;
	if (!only_blanks(at, end))
		return -EEXIST;
	return block_der(&b, der, der_len);
}
