// SPDX-License-Identifier: BSD-2-Clause
/*
 * Revocation lists of growing length: time to read, check and index one, memory that stays and at
 * the most, cost of a look-up; beside libcrypto's own X509_CRL. Needs no network and no root.
 */
#include <malloc.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crls.h"

enum { LOOKUPS = 200000 };

/* Of the processor: what others do on the machine meanwhile does not count. */
static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long status_kb(const char *key)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	long kb = 0;

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			kb = atol(line + strlen(key));
	if (f)
		fclose(f);
	return kb;
}

/* From here on the peak is counted anew. Returns what the process has now. */
static long begin_peak(void)
{
	FILE *f;

	malloc_trim(0);
	f = fopen("/proc/self/clear_refs", "w");
	if (f) {
		fputs("5", f);
		fclose(f);
	}
	return status_kb("VmRSS:");
}

static double peak_mb(long before)
{
	return (double)(status_kb("VmHWM:") - before) / 1024;
}

/* Nanoseconds of a look-up; half of them find something. */
static double lookup_ns(const struct svr_pki_crl *crl, size_t entries)
{
	uint8_t serial[TEST_CRL_SERIAL_LEN];
	size_t i, found = 0;
	double begin;

	begin = seconds();
	for (i = 0; i < LOOKUPS; i++) {
		test_crl_serial((i * 2654435761u) % (2 * entries), serial);
		found += svr_pki_crl_find(crl, serial, sizeof(serial), NULL);
	}
	if (entries > 1 && (found == 0 || found == LOOKUPS))
		abort();
	return (seconds() - begin) * 1e9 / LOOKUPS;
}

static void measure(const char *what, const uint8_t *data, size_t len, size_t entries,
		    const struct svr_pki_anchors *anchors)
{
	long before = begin_peak();
	double begin = seconds(), took;
	struct svr_pki_report r;
	struct svr_pki_crl *crl;

	if (svr_pki_crl_ingest(data, len, anchors, NULL, 0, time(NULL), 0, &crl, &r)) {
		fprintf(stderr, "%s\n", r.text);
		exit(1);
	}
	took = seconds() - begin;
	printf("%-4s %9zu %8.1f %10.1f %10.1f %10.1f %10.0f\n", what, entries, (double)len / 1e6,
	       took * 1e3, (double)svr_pki_crl_info(crl)->memory / 1e6, peak_mb(before),
	       lookup_ns(crl, entries));
	svr_pki_crl_free(crl);
}

/* What libcrypto takes for the same list, without a check of the signature. */
static void measure_libcrypto(const uint8_t *data, size_t len, size_t entries)
{
	long before = begin_peak();
	const unsigned char *p = data;
	uint8_t serial[TEST_CRL_SERIAL_LEN];
	double begin = seconds();
	X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)len);
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	X509_REVOKED *rev;

	if (!crl)
		exit(1);
	test_crl_serial(entries / 2, serial);
	ASN1_STRING_set(number, serial, sizeof(serial));
	X509_CRL_get0_by_serial(crl, &rev, number); /* sorts the list the first time */
	printf("%-4s %9zu %8.1f %10.1f %10s %10.1f %10s\n", "X509", entries, (double)len / 1e6,
	       (seconds() - begin) * 1e3, "-", peak_mb(before), "-");
	ASN1_INTEGER_free(number);
	X509_CRL_free(crl);
}

/* Each in a process of its own, so that one peak does not hide the next. */
static void row(int kind, const struct test_cert *ca, size_t entries)
{
	struct svr_pki_anchors *anchors = test_crl_anchors(ca);
	time_t now = time(NULL);
	char *text = NULL;
	BIO *bio = BIO_new(BIO_s_mem());
	size_t len;
	uint8_t *der;
	long text_len;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid) {
		int status;

		waitpid(pid, &status, 0);
		if (status)
			exit(1);
		svr_pki_anchors_free(anchors);
		BIO_free(bio);
		return;
	}
	der = test_crl_make(&(struct test_crl_spec){ ca, entries, 1, now - 60, now + 3600 }, &len);
	if (kind == 0)
		measure("DER", der, len, entries, anchors);
	if (kind == 2)
		measure_libcrypto(der, len, entries);
	if (kind == 1) {
		PEM_write_bio(bio, PEM_STRING_X509_CRL, "", der, (long)len);
		text_len = BIO_get_mem_data(bio, &text);
		measure("PEM", (uint8_t *)text, (size_t)text_len, entries, anchors);
	}
	fflush(stdout);
	_exit(0);
}

int main(void)
{
	static const size_t sizes[] = { 10, 1000, 100000, 1000000 };
	struct test_cert ca = test_cert_make(
		&(struct test_cert_spec){ .common_name = "CA", .ca = true, .from_days = -9 });
	size_t i;
	int kind;

	printf("%-4s %9s %8s %10s %10s %10s %10s\n", "form", "entries", "Mbyte", "ingest ms",
	       "stays MB", "peak MB", "look-up ns");
	for (kind = 0; kind < 3; kind++)
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			row(kind, &ca, sizes[i]);
	test_cert_free(&ca);
	return 0;
}
