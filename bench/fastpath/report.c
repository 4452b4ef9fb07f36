// SPDX-License-Identifier: BSD-2-Clause
/* What came out, as text and as JSON. Ratios are of times the other way round: 2 is twice as fast. */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "bench/fastpath/fastpath.h"

static const char *const names[SUBJECTS] = {
	[SUBJECT_REDIRECT] = "bare XDP redirect",
	[SUBJECT_NAT] = "bare XDP NAT",
	[SUBJECT_LAN_TO_WAN] = "svr LAN to WAN",
	[SUBJECT_WAN_TO_LAN] = "svr WAN to LAN",
	[SUBJECT_KERNEL] = "kernel forwarding",
	[SUBJECT_KERNEL_NAT] = "kernel, SNAT",
	[SUBJECT_KERNEL_FILTER] = "kernel, SNAT + filter",
};

static void machine(char *out, size_t len)
{
	char line[256], *colon;
	FILE *f = fopen("/proc/cpuinfo", "re");

	snprintf(out, len, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		colon = strchr(line, ':');
		if (colon && !strncmp(line, "model name", 10)) {
			colon[strcspn(colon, "\n")] = '\0';
			snprintf(out, len, "%s", colon + 2);
			break;
		}
	}
	if (f)
		fclose(f);
}

static double load_average(void)
{
	FILE *f = fopen("/proc/loadavg", "re");
	double load = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%lf", &load) != 1)
		load = 0;
	fclose(f);
	return load;
}

static void today(char *out, size_t len)
{
	time_t t = time(NULL);

	strftime(out, len, "%Y-%m-%d", localtime(&t));
}

/* The cell of another number of sessions, of frames as long as @c's */
static const struct cell *sibling(const struct cell *cells, size_t n, const struct cell *c,
				  uint32_t sessions)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (cells[i].len == c->len && cells[i].sessions == sessions)
			return &cells[i];
	return NULL;
}

static void ratio(double a, double b)
{
	if (a > 0 && b > 0)
		printf(" %8.2f", a / b);
	else
		printf(" %8s", "-");
}

static void number(double ns)
{
	if (ns > 0)
		printf(" %8.1f", ns);
	else
		printf(" %8s", "-");
}

static void cell_text(const struct cell *cells, size_t n, const struct cell *c)
{
	const struct cell *few = sibling(cells, n, c, 4096);
	enum subject_id i;

	printf("\n%zu bytes, %u session%s; empty program %.1f ns, frames without a router %.1f ns\n",
	       c->len, c->sessions, c->sessions == 1 ? "" : "s", c->empty_ns, c->base_ns);
	printf("%-22s|%8s %8s |%8s %8s |%8s %8s %8s %8s\n", "", "alone", "to NAT", "frames",
	       "to 4096", "net", "to NAT", "to SNAT+f", "to 4096");
	for (i = 0; i < SUBJECTS; i++) {
		printf("%-22s|", names[i]);
		number(c->alone_ns[i]);
		ratio(c->alone_ns[SUBJECT_NAT], c->alone_ns[i]);
		printf(" |");
		number(c->total_ns[i]);
		ratio(few && few != c ? few->total_ns[i] : 0, c->total_ns[i]);
		printf(" |");
		number(c->net_ns[i]);
		ratio(c->net_ns[SUBJECT_NAT], c->net_ns[i]);
		ratio(c->net_ns[SUBJECT_KERNEL_FILTER], c->net_ns[i]);
		ratio(few && few != c ? few->net_ns[i] : 0, c->net_ns[i]);
		puts("");
	}
}

void report_text(const struct cell *cells, size_t n, const struct setup_result *setup,
		 const char *command)
{
	char cpu[128], date[16];
	struct utsname u;
	size_t i;

	uname(&u);
	machine(cpu, sizeof(cpu));
	today(date, sizeof(date));
	printf("%s\n%s, Linux %s, %s, load average %.1f. One CPU, medians of %u interleaved rounds, ns per packet.\n",
	       command, cpu, u.release, date, load_average(), n ? cells[0].rounds : setup->rounds);
	puts("alone: the program by BPF_PROG_TEST_RUN. frames: generator, veth, router, veth, sink. net: less the run without the router.\n"
	     "Ratios: how many times as fast as the bare NAT, as the kernel with SNAT and a stateful filter, and as itself with 4096 sessions.");
	for (i = 0; i < n; i++)
		cell_text(cells, n, &cells[i]);
	if (setup->rounds)
		printf("\nclear sessions opened by svr_lan: %.0f ns net each, %.2f million per second and core (with generator and sink %.2f)\n"
		       "accepted by svr_wan at the peer router: %.0f ns net each, %.2f million per second and core\n"
		       "kernel memory per session, both flows: %.0f bytes\n",
		       setup->net_ns, 1e3 / setup->net_ns, 1e3 / setup->total_ns,
		       setup->accept_net_ns, 1e3 / setup->accept_net_ns, setup->bytes);
}

static void json_subject(const struct cell *c, enum subject_id i, const char *comma)
{
	printf("%s\n      {\"name\": \"%s\"", comma, names[i]);
	if (c->alone_ns[i] > 0)
		printf(", \"alone_ns\": %.1f", c->alone_ns[i]);
	if (c->have[i])
		printf(", \"frames_ns\": %.1f, \"net_ns\": %.1f", c->total_ns[i], c->net_ns[i]);
	if (c->alone_ns[i] > 0 && c->alone_ns[SUBJECT_NAT] > 0)
		printf(", \"alone_to_nat\": %.3f", c->alone_ns[SUBJECT_NAT] / c->alone_ns[i]);
	if (c->have[i])
		printf(", \"net_to_nat\": %.3f", c->net_ns[SUBJECT_NAT] / c->net_ns[i]);
	if (c->have[i] && c->have[SUBJECT_KERNEL_FILTER])
		printf(", \"net_to_kernel_snat_filter\": %.2f",
		       c->net_ns[SUBJECT_KERNEL_FILTER] / c->net_ns[i]);
	printf("}");
}

void report_json(const struct cell *cells, size_t n, const struct setup_result *setup,
		 const char *command)
{
	char cpu[128], date[16];
	enum subject_id s;
	struct utsname u;
	size_t i;

	uname(&u);
	machine(cpu, sizeof(cpu));
	today(date, sizeof(date));
	printf("{\"command\": \"%s\", \"date\": \"%s\", \"cpu\": \"%s\", \"kernel\": \"%s\", \"load_average\": %.1f,\n  \"cells\": [",
	       command, date, cpu, u.release, load_average());
	for (i = 0; i < n; i++) {
		printf("%s\n    {\"bytes\": %zu, \"sessions\": %u, \"rounds\": %u, \"empty_ns\": %.1f, \"base_ns\": %.1f, \"subjects\": [",
		       i ? "," : "", cells[i].len, cells[i].sessions, cells[i].rounds,
		       cells[i].empty_ns, cells[i].base_ns);
		for (s = 0; s < SUBJECTS; s++)
			json_subject(&cells[i], s, s ? "," : "");
		printf("]}");
	}
	printf("]");
	if (setup->rounds)
		printf(",\n  \"setup\": {\"net_ns\": %.1f, \"per_second\": %.0f, \"frames_ns\": %.1f, \"accept_net_ns\": %.1f, \"accept_per_second\": %.0f, \"bytes_per_session\": %.0f}",
		       setup->net_ns, 1e9 / setup->net_ns, setup->total_ns, setup->accept_net_ns,
		       1e9 / setup->accept_net_ns, setup->bytes);
	puts("}");
}
