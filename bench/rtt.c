// SPDX-License-Identifier: BSD-2-Clause
/* Round-trip time on an idle path: a UDP echo server, and a client that sends one datagram at a time. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
	SIZE_BYTES = 64,
	WARM_UP = 20,		/* the session is made, caches are warm */
	COUNT_MAX = 1000000,
	PAUSE_US = 500,		/* between two: the path is idle */
	TIMEOUT_US = 200000,
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int serve(int fd, const struct sockaddr_in *addr)
{
	char buf[2048];

	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)))
		return -errno;
	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

		if (n > 0)
			sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
}

/* One datagram there and back. Return: nanoseconds, 0 if it was lost. */
static uint64_t ping(int fd, uint32_t number)
{
	uint32_t sent[SIZE_BYTES / 4] = { number }, got[SIZE_BYTES / 4];
	uint64_t start = now_ns();

	if (send(fd, sent, sizeof(sent), 0) < 0)
		return 0;
	while (recv(fd, got, sizeof(got), 0) == sizeof(got))
		if (got[0] == number)
			return now_ns() - start;
	return 0;
}

static int measure(int fd, const struct sockaddr_in *addr, uint32_t count)
{
	const struct timeval timeout = { .tv_usec = TIMEOUT_US };
	uint64_t *rtt = calloc(count, sizeof(*rtt));
	uint32_t i, n = 0;
	int err = 0;

	if (!rtt)
		return -ENOMEM;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout))) {
		err = -errno;
		goto out;
	}
	for (i = 0; i < WARM_UP; i++)
		ping(fd, COUNT_MAX + i);
	for (i = 0; i < count; i++) {
		uint64_t ns = ping(fd, i);

		if (ns)
			rtt[n++] = ns;
		usleep(PAUSE_US);
	}
	if (!n) {
		err = -ETIMEDOUT;
		goto out;
	}
	qsort(rtt, n, sizeof(*rtt), by_value);
	printf("{\"median_us\": %.1f, \"p99_us\": %.1f, \"min_us\": %.1f, \"lost\": %u}\n", rtt[n / 2] / 1e3,
	       rtt[(uint64_t)n * 99 / 100] / 1e3, rtt[0] / 1e3, count - n);
out:
	free(rtt);
	return err;
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int server = argc == 3 && !strcmp(argv[1], "serve"), fd = -1, err = 0;
	long port, count = 0;

	if (!server && argc != 4) {
		fprintf(stderr, "usage: rtt serve PORT | rtt ADDRESS PORT COUNT\n");
		return 2;
	}
	port = strtol(argv[2], NULL, 10);
	if (!server)
		count = strtol(argv[3], NULL, 10);
	if (port < 1 || port > UINT16_MAX || (!server && (count < 1 || count > COUNT_MAX)) ||
	    (!server && inet_pton(AF_INET, argv[1], &addr.sin_addr) != 1)) {
		fprintf(stderr, "rtt: bad address, port or count\n");
		return 2;
	}
	addr.sin_port = htons((uint16_t)port);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		err = -errno;
	else
		err = server ? serve(fd, &addr) : measure(fd, &addr, (uint32_t)count);
	if (fd >= 0)
		close(fd);
	if (err)
		fprintf(stderr, "rtt: %s port %ld: %s\n", argv[1], port, strerror(-err));
	return err ? 1 : 0;
}
