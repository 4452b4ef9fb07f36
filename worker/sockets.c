// SPDX-License-Identifier: BSD-2-Clause
/* Binding sockets to queues, in the thread that each queue belongs to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_link.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <json-c/json.h>

#include "sys/log.h"
#include "worker/sockets.h"
#include "worker/worker.h"

enum {
	RETRY_MIN_MS = 50, /* the kernel lets go of a socket's queue a moment after close() */
	RETRY_MAX_MS = 5000,
	QUIET_MS = 2000, /* so long a queue that is busy or gone is nothing to talk about */
	NS_PER_MS = 1000000,
};

/* A queue that should have a socket and has none. */
struct retry {
	int ifindex;
	uint32_t queue;
	uint64_t since_ns, next_ns;
	uint32_t pause_ms;
	bool told;
};

struct svr_sockets {
	struct retry retry[SVR_MAX_PORTS];
	unsigned int n_retry;
	unsigned int threads; /* among which queues are shared out */
	bool copy_only; /* a device refused zero copy */
};

/* What the main thread has done in a data thread, which it waits for. */
struct order {
	struct svr_worker *w;
	const struct svr_plan *plan;
	bool start_over; /* answer: the way of copying changed */
};

static const struct svr_device *device_of(const struct svr_plan *p, int ifindex)
{
	unsigned int i;

	for (i = 0; i < p->n_devices; i++)
		if (p->device[i].ifindex == ifindex)
			return &p->device[i];
	return NULL;
}

static bool is_mine(const struct svr_sockets *z, const struct svr_thread *t, uint32_t queue)
{
	return queue % z->threads == t->number;
}

/* ---- trying again -------------------------------------------------------------------------- */

static struct retry *retry_find(struct svr_sockets *z, int ifindex, uint32_t queue)
{
	unsigned int i;

	for (i = 0; i < z->n_retry; i++)
		if (z->retry[i].ifindex == ifindex && z->retry[i].queue == queue)
			return &z->retry[i];
	return NULL;
}

static void retry_note(struct svr_sockets *z, const struct svr_device *d, uint32_t queue,
		       uint64_t now_ns, int err)
{
	struct retry *r = retry_find(z, d->ifindex, queue);
	bool passing;

	if (!r) {
		if (z->n_retry == SVR_MAX_PORTS)
			return;
		r = &z->retry[z->n_retry++];
		*r = (struct retry){ .ifindex = d->ifindex,
				     .queue = queue,
				     .since_ns = now_ns,
				     .pause_ms = RETRY_MIN_MS };
	}
	r->next_ns = now_ns + (uint64_t)r->pause_ms * NS_PER_MS;
	r->pause_ms = r->pause_ms < RETRY_MAX_MS ? 2 * r->pause_ms : RETRY_MAX_MS;
	/* Busy or gone may be over in a moment: a socket that is being released, a device too */
	passing = err == -EBUSY || err == -ENODEV;
	if (!r->told && (!passing || now_ns - r->since_ns > (uint64_t)QUIET_MS * NS_PER_MS)) {
		r->told = true;
		pr_err("%s queue %u: cannot bind an AF_XDP socket: %s; its packets are dropped "
		       "(no-worker). %s",
		       d->name, queue, strerror(-err),
		       err == -EBUSY ? "Is another program bound to it? I keep trying." :
				       "I keep trying.");
	}
}

static void retry_forget(struct svr_sockets *z, const struct svr_device *d, uint32_t queue)
{
	struct retry *r = retry_find(z, d->ifindex, queue);

	if (!r)
		return;
	if (r->told)
		pr_info("%s queue %u: bound at last", d->name, queue);
	*r = z->retry[--z->n_retry];
}

bool svr_sockets_missing(const struct svr_worker *w)
{
	return w->sockets->n_retry > 0;
}

void svr_sockets_retry_now(struct svr_worker *w)
{
	w->sockets->n_retry = 0;
}

/* ---- inside of a data thread --------------------------------------------------------------- */

/* An XDP program in skb mode has copies to give only. */
static bool zerocopy_possible(int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);

	return bpf_xdp_query(ifindex, 0, &opts) == 0 && opts.attach_mode != XDP_ATTACHED_SKB;
}

/* After every change of sockets: what the thread sends goes out by these. */
static void zone_tx_fill(struct svr_thread *t, const struct svr_plan *p)
{
	uint32_t zone, queue;
	int port;

	for (zone = 0; zone < SVR_MAX_ZONES; zone++) {
		struct svr_zone_tx *tx = &t->zone_tx[zone];
		const struct svr_device *d = device_of(p, p->zone[zone].ifindex);

		*tx = (struct svr_zone_tx){ .vlan = p->zone[zone].vlan,
					    .outer_vlan = p->zone[zone].outer_vlan };
		if (!d)
			continue;
		tx->ifindex = d->ifindex;
		for (queue = 0; queue < d->queues; queue++) {
			port = svr_port_find(&t->umem, d->ifindex, queue);
			if (port >= 0)
				tx->port[tx->count++] = (uint16_t)port;
		}
	}
}

static void close_surplus(struct svr_thread *t, void *arg)
{
	const struct order *o = arg;
	const struct svr_sockets *z = o->w->sockets;
	bool anchor = false;
	unsigned int i;

	for (i = 0; i < SVR_MAX_PORTS; i++) {
		const struct svr_port *port = t->umem.port[i];
		const struct svr_device *d = port ? device_of(o->plan, port->ifindex) : NULL;

		if (!port || (d && port->queue < d->queues && is_mine(z, t, port->queue)))
			continue;
		pr_info("%s queue %u: socket closed", port->device, port->queue);
		anchor |= port->anchor;
		svr_port_close(&t->umem, i);
	}
	if (anchor) /* its device holds the UMEM: the others have to be bound anew */
		svr_port_close_all(&t->umem);
	zone_tx_fill(t, o->plan);
}

static void close_all(struct svr_thread *t, void *arg)
{
	const struct order *o = arg;

	svr_port_close_all(&t->umem);
	zone_tx_fill(t, o->plan);
}

/* Frames of a UMEM are copied by all its sockets or by none, and every device is in each UMEM. */
static bool give_up_zerocopy(struct order *o, const struct svr_device *d)
{
	pr_debug("%s: no zero copy, all sockets copy", d->name);
	o->w->sockets->copy_only = true;
	o->start_over = true;
	return true;
}

/* True: the way of copying changed. */
static bool queue_bind(struct svr_thread *t, struct order *o, const struct svr_device *d,
		       uint32_t queue)
{
	struct svr_sockets *z = o->w->sockets;
	struct retry *r = retry_find(z, d->ifindex, queue);
	bool zerocopy = !z->copy_only && zerocopy_possible(d->ifindex);
	int err;

	if (r && r->next_ns > t->now_ns)
		return false;
	if (!zerocopy && !z->copy_only) {
		if (svr_sockets_zerocopy(o->w))
			return give_up_zerocopy(o, d);
		z->copy_only = true;
	}
	err = svr_port_open(&t->umem, d->name, d->ifindex, queue, zerocopy);
	if (err >= 0) {
		retry_forget(z, d, queue);
		return false;
	}
	if (zerocopy && err != -EBUSY)
		return give_up_zerocopy(o, d);
	if (err != -EINVAL || queue == 0) /* otherwise the device does not have it */
		retry_note(z, d, queue, t->now_ns, err);
	return false;
}

static void open_missing(struct svr_thread *t, void *arg)
{
	struct order *o = arg;
	uint32_t queue;
	unsigned int i;

	for (i = 0; i < o->plan->n_devices; i++) {
		const struct svr_device *d = &o->plan->device[i];

		for (queue = t->number; queue < d->queues; queue += o->w->sockets->threads)
			if (svr_port_find(&t->umem, d->ifindex, queue) < 0 &&
			    queue_bind(t, o, d, queue))
				return;
	}
	for (i = 0; i < SVR_MAX_PORTS; i++)
		if (t->umem.port[i])
			svr_port_refill(&t->umem, i);
	zone_tx_fill(t, o->plan);
}

/* ---- main thread --------------------------------------------------------------------------- */

/* Only calls of the main thread change ports, so it may look at them. */
static const struct svr_port *socket_of(const struct svr_worker *w, int ifindex, uint32_t queue,
					unsigned int *thread)
{
	unsigned int i;
	int port;

	for (i = 0; i < w->pool.n; i++) {
		port = svr_port_find(&w->pool.thread[i]->umem, ifindex, queue);
		if (port >= 0) {
			*thread = i;
			return w->pool.thread[i]->umem.port[port];
		}
	}
	return NULL;
}

static void socket_register(struct svr_worker *w, uint32_t index, const struct svr_port *port)
{
	if (!port)
		bpf_map_delete_elem(w->maps.fd.xsks, &index);
	else if (bpf_map_update_elem(w->maps.fd.xsks, &index, &port->fd, BPF_ANY))
		pr_err("%s queue %u: cannot register the socket in svr_xsks: %s", port->device,
		       port->queue, strerror(errno));
}

static void sockets_register(struct svr_worker *w, const struct svr_plan *p)
{
	uint32_t zone, queue;
	unsigned int thread;

	for (zone = 0; zone < SVR_MAX_ZONES; zone++)
		for (queue = 0; queue < SVR_MAX_QUEUES; queue++)
			socket_register(w, zone * SVR_MAX_QUEUES + queue,
					p->zone[zone].ifindex ? socket_of(w, p->zone[zone].ifindex,
									  queue, &thread) :
								NULL);
}

static void in_all_threads(struct svr_worker *w, svr_thread_fn fn, struct order *o)
{
	unsigned int i;

	for (i = 0; i < w->pool.n && !o->start_over; i++)
		svr_thread_call(w->pool.thread[i], fn, o);
}

static unsigned int most_queues(const struct svr_plan *p)
{
	unsigned int i, most = 1;

	for (i = 0; i < p->n_devices; i++)
		if (p->device[i].queues > most)
			most = p->device[i].queues;
	return most;
}

void svr_sockets_apply(struct svr_worker *w, const struct svr_plan *p)
{
	struct order o = { .w = w, .plan = p };

	w->sockets->threads = svr_pool_want(w, most_queues(p));
	in_all_threads(w, close_surplus, &o);
	in_all_threads(w, open_missing, &o);
	if (o.start_over) { /* once: from here on they copy */
		o.start_over = false;
		in_all_threads(w, close_all, &o);
		in_all_threads(w, open_missing, &o);
	}
	sockets_register(w, p);
}

bool svr_sockets_differ(const struct svr_worker *w, const struct svr_plan *p)
{
	uint32_t have = 0, want = 0, queue;
	unsigned int i, thread;

	for (i = 0; i < p->n_devices; i++) {
		for (queue = 0; queue < p->device[i].queues; queue++) {
			want++;
			have += socket_of(w, p->device[i].ifindex, queue, &thread) != NULL;
		}
	}
	return have != want || have != svr_sockets_count(w);
}

unsigned int svr_sockets_count(const struct svr_worker *w)
{
	unsigned int i, n = 0;

	for (i = 0; i < w->pool.n; i++)
		n += w->pool.thread[i]->umem.n_ports;
	return n;
}

bool svr_sockets_zerocopy(const struct svr_worker *w)
{
	unsigned int i;

	for (i = 0; i < w->pool.n; i++)
		if (w->pool.thread[i]->umem.n_ports)
			return w->pool.thread[i]->umem.zerocopy;
	return false;
}

int svr_sockets_new(struct svr_worker *w)
{
	w->sockets = calloc(1, sizeof(*w->sockets));
	if (!w->sockets)
		return -ENOMEM;
	w->sockets->threads = 1;
	return 0;
}

void svr_sockets_free(struct svr_worker *w)
{
	free(w->sockets);
	w->sockets = NULL;
}

/* ---- show ---------------------------------------------------------------------------------- */

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

static struct json_object *queue_json(const struct svr_port *port, unsigned int thread)
{
	struct json_object *o = json_object_new_object();
	struct xdp_options options = { 0 };
	struct xdp_statistics st = { 0 };
	socklen_t len = sizeof(st);

	json_object_object_add(o, "queue", json_object_new_int64(port->queue));
	json_object_object_add(o, "thread", json_object_new_int64(thread));
	if (getsockopt(port->fd, SOL_XDP, XDP_STATISTICS, &st, &len) == 0) {
		json_object_object_add(o, "rx_dropped", json_object_new_uint64(st.rx_dropped));
		json_object_object_add(o, "rx_ring_full", json_object_new_uint64(st.rx_ring_full));
		json_object_object_add(o, "fill_ring_empty",
				       json_object_new_uint64(st.rx_fill_ring_empty_descs));
		json_object_object_add(o, "tx_invalid",
				       json_object_new_uint64(st.tx_invalid_descs));
	}
	len = sizeof(options);
	if (getsockopt(port->fd, SOL_XDP, XDP_OPTIONS, &options, &len) == 0)
		json_object_object_add(o, "zero_copy",
				       json_object_new_boolean(options.flags &
							       XDP_OPTIONS_ZEROCOPY));
	return o;
}

struct json_object *svr_sockets_json(const struct svr_worker *w, int ifindex)
{
	struct json_object *queues = json_object_new_array();
	const struct svr_port *port;
	unsigned int thread;
	uint32_t queue;

	for (queue = 0; queue < SVR_MAX_QUEUES; queue++) {
		port = socket_of(w, ifindex, queue, &thread);
		if (port)
			json_object_array_add(queues, queue_json(port, thread));
	}
	return queues;
}
