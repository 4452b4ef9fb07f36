/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests for certificates (PKCS #10, RFC 2986). Part of libsvr. */
#ifndef SVR_LIB_PKI_CSR_H
#define SVR_LIB_PKI_CSR_H

#include <stddef.h>

enum svr_pki_csr_limits {
	SVR_PKI_CSR_SANS_MAX = 16, /* of each kind */
	SVR_PKI_CSR_DAYS_MAX = 36500,
};

/* Extended key usages that a request may ask for. */
enum svr_pki_csr_eku {
	SVR_PKI_EKU_CLIENT = 1, /* TLS client authentication */
	SVR_PKI_EKU_SERVER = 2, /* TLS server authentication */
	SVR_PKI_EKU_IKE = 4, /* id-kp-ipsecIKE (RFC 4945) */
};

/*
 * What is asked for, in UTF-8. Members that are NULL or 0 are left out, unless their line says
 * otherwise. Strings belong to the caller. Lengths are those of RFC 5280 appendix A.1.
 */
struct svr_pki_csr_spec {
	/* peering-common-name of the router: CN, and SAN URI urn:ssr:peering:<it>. Required. */
	const char *common_name;
	const char *country_name; /* two letters A-Z */
	const char *state_province_name; /* 1..128 characters */
	const char *locality_name; /* 1..128 characters */
	const char *organization_name; /* 1..64 characters */
	const char *organizational_unit_name; /* 1..64 characters */
	const char *email_address; /* local@domain, ASCII, up to 255 bytes; also as SAN */
	const char *dns[SVR_PKI_CSR_SANS_MAX]; /* SAN: domain names; "*.": not allowed */
	unsigned int n_dns;
	const char *ip[SVR_PKI_CSR_SANS_MAX]; /* SAN: addresses, IPv4 or IPv6 */
	unsigned int n_ip;
	unsigned int extended_key_usage; /* of SVR_PKI_EKU_*; 0: client and server */
	const char *digest; /* "sha256", "sha384", "sha512"; NULL: "sha384" */
	/*
	 * Days that the certificate is wanted for, 0 = no wish. A request has no place for it: it is
	 * checked here, stands in the audit event, and the authority decides.
	 */
	unsigned int validity_days;
};

/* 0, or -EINVAL with a sentence in @err that names the member and what it may be. */
int svr_pki_csr_check(const struct svr_pki_csr_spec *spec, char *err, size_t err_len);

/**
 * svr_pki_csr_create() - make a request with the private key <dir>/<name>.key, and keep it as
 * <dir>/<name>.csr (0644; an older one is replaced).
 * @pem: the request in PEM, for free(); may be NULL if only the file is wanted
 * Return: 0, -EINVAL (a member, the name), -ENOENT (no such key), other negative errno; with a
 * sentence in @err.
 */
int svr_pki_csr_create(const char *dir, const char *name, const struct svr_pki_csr_spec *spec,
		       char **pem, char *err, size_t err_len);

#endif
