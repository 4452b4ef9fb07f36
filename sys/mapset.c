// SPDX-License-Identifier: BSD-2-Clause
/* Opens and maps the pinned maps of a router, and refuses those of another program version. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "lib/name.h"
#include "sys/flows.h"
#include "sys/mapset.h"

/*
 * What the maps without mapped pages must look like; arrays get theirs from SVR_MAPSET_ARRAYS. 0 in
 * value_size: not checked.
 */
struct map_shape {
	enum bpf_map_type type;
	uint32_t key_size, value_size;
};

#define INDEX_SIZE sizeof(uint32_t)

static const struct {
	struct map_shape
#define X(name) name,
		SVR_MAPSET_FDS(X)
#undef X
		end;
} shapes = {
	.vlans = { BPF_MAP_TYPE_HASH, sizeof(struct svr_vlan_key), INDEX_SIZE },
	.tenant_lpm = { BPF_MAP_TYPE_LPM_TRIE, sizeof(struct svr_tenant_key), INDEX_SIZE },
	.service_lpm = { BPF_MAP_TYPE_LPM_TRIE, sizeof(struct svr_service_key),
			 sizeof(struct svr_service_set) },
	.access = { BPF_MAP_TYPE_HASH, sizeof(struct svr_access_key), sizeof(uint32_t) },
	.names = { BPF_MAP_TYPE_HASH, sizeof(struct svr_name_key), INDEX_SIZE },
	.path_by_addr = { BPF_MAP_TYPE_HASH, sizeof(struct svr_addr_key), INDEX_SIZE },
	.txports = { BPF_MAP_TYPE_DEVMAP, INDEX_SIZE, 0 }, /* with or without room for a program */
	.neighbours = { BPF_MAP_TYPE_HASH, sizeof(struct svr_addr_key), INDEX_SIZE },
	.xsks = { BPF_MAP_TYPE_XSKMAP, INDEX_SIZE, sizeof(uint32_t) },
	.drops = { BPF_MAP_TYPE_PERCPU_ARRAY, INDEX_SIZE, sizeof(uint64_t) },
	.stats = { BPF_MAP_TYPE_PERCPU_ARRAY, INDEX_SIZE, sizeof(struct svr_zone_stats) },
	.capture_ring = { BPF_MAP_TYPE_RINGBUF, 0, 0 },
};

__attribute__((format(printf, 4, 5)))
static int fail(char *err, size_t err_len, int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(err, err_len, fmt, args);
	va_end(args);
	return code;
}

int svr_mapset_dir(const char *router, char *buf, size_t len)
{
	int n;

	if (!svr_name_ok_for_path(router))
		return -EINVAL;
	n = snprintf(buf, len, "%s/%s", SVR_PIN_ROOT, router);
	return n < 0 || (size_t)n >= len ? -ENAMETOOLONG : 0;
}

/* Opens one pin. Return: descriptor or negative errno. */
static int map_open(const struct svr_mapset *m, const char *name, const struct map_shape *want,
		    bool read_only, uint32_t *max_entries, char *err, size_t err_len)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = read_only ? BPF_F_RDONLY : 0);
	struct bpf_map_info info = { 0 };
	__u32 info_len = sizeof(info);
	char path[sizeof(m->dir) + SVR_NAME_LEN];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/svr_%s", m->dir, name);
	fd = bpf_obj_get_opts(path, &opts);
	if (fd == -ENOENT)
		return fail(err, err_len, fd,
			    "%s: nothing is pinned here; try: svr link set dev DEVICE up", path);
	if (fd == -EPERM || fd == -EACCES)
		return fail(err, err_len, fd, "%s: %s; run as root (CAP_BPF)", path, strerror(-fd));
	if (fd < 0)
		return fail(err, err_len, fd, "%s: cannot open: %s", path, strerror(-fd));
	ret = bpf_obj_get_info_by_fd(fd, &info, &info_len);
	if (ret < 0) {
		fail(err, err_len, ret, "%s: not a map: %s", path, strerror(-ret));
		goto out;
	}
	if (info.type != want->type || info.key_size != want->key_size ||
	    (want->value_size && info.value_size != want->value_size)) {
		ret = fail(
			err, err_len, -EPROTO,
			"%s: map of another version of svr (type %u, key %u, value %u bytes; expected %u, %u, %u); "
			"its sessions cannot be taken over; stop svr-worker and svr-keymgr and run: svr link clean",
			path, info.type, info.key_size, info.value_size, want->type, want->key_size,
			want->value_size);
		goto out;
	}
	*max_entries = info.max_entries;
out:
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return fd;
}

/*
 * Length of the mapping: element sizes are multiples of 8 (sys/mapset.h), so the kernel's stride is
 * the element size.
 */
static size_t array_len(uint32_t count, size_t element)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (count * element + page - 1) / page * page;
}

static int array_open(struct svr_mapset *m, const char *name, size_t element, bool writer, int *fd,
		      uint32_t *count, void **mapped, char *err, size_t err_len)
{
	const struct map_shape want = { BPF_MAP_TYPE_ARRAY, INDEX_SIZE, (uint32_t)element };
	void *p;

	/*
	 * Not BPF_F_RDONLY for readers: the kernel takes VM_SHARED from a mapping of a descriptor
	 * that cannot write, and then refuses to map it. PROT_READ is what keeps readers from
	 * writing.
	 */
	*fd = map_open(m, name, &want, false, count, err, err_len);
	if (*fd < 0)
		return *fd;
	p = mmap(NULL, array_len(*count, element), writer ? PROT_READ | PROT_WRITE : PROT_READ,
		 MAP_SHARED, *fd, 0);
	if (p == MAP_FAILED)
		return fail(err, err_len, -errno, "%s/svr_%s: cannot map: %s", m->dir, name,
			    strerror(errno));
	*mapped = p;
	return 0;
}

static int router_check(const struct svr_mapset *m, char *err, size_t err_len)
{
	uint32_t abi = __atomic_load_n(&m->router->abi, __ATOMIC_ACQUIRE);

	if (abi == SVR_ABI_VERSION)
		return 0;
	if (abi == 0)
		return fail(
			err, err_len, -EPROTO,
			"%s/svr_router: no configuration was applied yet; try: svr link set dev DEVICE up",
			m->dir);
	return fail(
		err, err_len, -EPROTO,
		"%s/svr_router: map layout %u, this program knows %u; its sessions cannot be taken over; stop svr-worker and svr-keymgr and run: svr link clean",
		m->dir, abi, SVR_ABI_VERSION);
}

static void mapset_init(struct svr_mapset *m)
{
	memset(m, 0, sizeof(*m));
#define X(name) m->fd.name = -1;
	SVR_MAPSET_FDS(X)
#undef X
#define X(name, type, owner) m->fd.name = -1;
	SVR_MAPSET_ARRAYS(X)
#undef X
}

int svr_mapset_open(const char *router, enum svr_writer writer, struct svr_mapset *out, char *err,
		    size_t err_len)
{
	struct svr_mapset *m = out;
	uint32_t entries;
	int ret;

	mapset_init(m);
	ret = svr_mapset_dir(router, m->dir, sizeof(m->dir));
	if (ret)
		return fail(err, err_len, ret,
			    "%.*s: not a router name (1 to 63 characters out of A-Z a-z 0-9 _ . -)",
			    SVR_NAME_LEN, router);

		/*
		 * svr_router is the first of the arrays: without it nothing else is worth a look.
		 */
#define X(name, type, owner)                                                             \
	do {                                                                             \
		void *mapped = NULL;                                                     \
                                                                                         \
		ret = array_open(m, #name, sizeof(type), writer == (owner), &m->fd.name, \
				 &m->count.name, &mapped, err, err_len);                 \
		m->name = mapped;                                                        \
		if (!ret && (void *)&m->name == (void *)&m->router)                      \
			ret = router_check(m, err, err_len);                             \
		if (ret)                                                                 \
			goto out;                                                        \
	} while (0);
	SVR_MAPSET_ARRAYS(X)
#undef X
#define X(name)                                                                                  \
	do {                                                                                     \
		ret = map_open(m, #name, &shapes.name, writer == SVR_WRITER_NONE, &entries, err, \
			       err_len);                                                         \
		m->fd.name = ret;                                                                \
		if (ret < 0)                                                                     \
			goto out;                                                                \
	} while (0);
	SVR_MAPSET_FDS(X)
#undef X
	ret = 0;
	if (m->count.flows4 != m->count.flow_tags4 * SVR_FLOW_BUCKET ||
	    m->count.flows6 != m->count.flow_tags6 * SVR_FLOW_BUCKET)
		ret = fail(err, err_len, -EPROTO,
			   "%s: the flow tables have %u and %u rows, their tags are for %u and %u",
			   m->dir, m->count.flows4, m->count.flows6,
			   m->count.flow_tags4 * SVR_FLOW_BUCKET,
			   m->count.flow_tags6 * SVR_FLOW_BUCKET);
out:
	if (ret)
		svr_mapset_close(m);
	return ret;
}

int svr_mapset_of_flows(const struct svr_flow_fds *fds, struct svr_mapset *out)
{
	struct bpf_map_info info;
	__u32 info_len;
	void *p;
	int err;

	mapset_init(out);
	snprintf(out->dir, sizeof(out->dir), "not pinned");
#define X(name, size)                                                                           \
	do {                                                                                    \
		info = (struct bpf_map_info){ 0 };                                              \
		info_len = sizeof(info);                                                        \
		err = bpf_obj_get_info_by_fd(fds->name, &info, &info_len);                      \
		if (err)                                                                        \
			goto fail;                                                              \
		p = mmap(NULL, array_len(info.max_entries, size), PROT_READ | PROT_WRITE,       \
			 MAP_SHARED, fds->name, 0);                                             \
		err = p == MAP_FAILED ? -errno : 0;                                             \
		if (err)                                                                        \
			goto fail;                                                              \
		out->name = p;                                                                  \
		out->count.name = info.max_entries;                                             \
	} while (0)
	X(flow_hash, sizeof(*out->flow_hash));
	X(flow_tags4, sizeof(*out->flow_tags4));
	X(flow_tags6, sizeof(*out->flow_tags6));
	X(flows4, sizeof(*out->flows4));
	X(flows6, sizeof(*out->flows6));
#undef X
	err = svr_flow_hash_make(out->count.flow_tags4, out->count.flow_tags6, out->flow_hash);
fail:
	if (err)
		svr_mapset_close(out);
	return err;
}

void svr_mapset_close(struct svr_mapset *m)
{
	if (!m->dir[0])
		return; /* never opened, or closed already: the descriptors are no descriptors */
#define X(name, type, owner)                                                           \
	do {                                                                           \
		if (m->name)                                                           \
			munmap((void *)m->name, array_len(m->count.name, sizeof(type))); \
		m->name = NULL;                                                        \
	} while (0);
	SVR_MAPSET_ARRAYS(X)
#undef X
#define X(name)                               \
	do {                                  \
		if (m->fd.name >= 0)          \
			close(m->fd.name);    \
		m->fd.name = -1;              \
	} while (0);
	SVR_MAPSET_FDS(X)
#undef X
#define X(name, type, owner)                  \
	do {                                  \
		if (m->fd.name >= 0)          \
			close(m->fd.name);    \
		m->fd.name = -1;              \
	} while (0);
	SVR_MAPSET_ARRAYS(X)
#undef X
	m->dir[0] = '\0';
}
