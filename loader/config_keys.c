// SPDX-License-Identifier: BSD-2-Clause
/* `svr config keys`: random static keys for the policies of a configuration file that lack them. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json_object.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "lib/config.h"

#include "cli.h"

enum { KEYS_FILE };
const struct svr_arg svr_config_keys_args[] = {
	[KEYS_FILE] = { NULL, "FILE", NULL, false, false, "instead of --config" },
	{},
};

enum { KEY_MAX = 32, PRIVATE = 0600 };

/* ---- the document --------------------------------------------------------------------------- */

static bool flag(struct json_object *o, const char *name, bool absent)
{
	struct json_object *v;

	return json_object_object_get_ex(o, name, &v) ? json_object_get_boolean(v) : absent;
}

static bool word_is(struct json_object *o, const char *name, const char *word)
{
	struct json_object *v;

	return json_object_object_get_ex(o, name, &v) && !strcmp(json_object_get_string(v), word);
}

/* 1: added, 0: was there, or a negative errno. */
static int add_key(struct json_object *policy, const char *name, size_t bytes)
{
	char text[2 * KEY_MAX + 1];
	uint8_t key[KEY_MAX];
	struct json_object *v;
	size_t i;
	int ret = -ENOMEM;

	if (json_object_object_get_ex(policy, name, NULL))
		return 0;
	if (RAND_priv_bytes(key, (int)bytes) != 1)
		return -EIO;
	for (i = 0; i < bytes; i++)
		snprintf(text + 2 * i, 3, "%02x", key[i]);
	v = json_object_new_string(text);
	if (v && json_object_object_add(policy, name, v) == 0)
		ret = 1;
	else
		json_object_put(v);
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(text, sizeof(text));
	return ret;
}

/* Keys that this policy lacks; how many, or a negative errno. */
static int fill_policy(struct json_object *policy)
{
	const bool encrypt = flag(policy, "encrypt", true);
	const bool short_key = word_is(policy, "encryption-cipher", "aes-cbc-128") ||
			       word_is(policy, "encryption-cipher", "aes-gcm-128");
	int n = 0, ret;

	if (!encrypt && word_is(policy, "hmac-mode", "disabled"))
		return 0;
	ret = add_key(policy, "hmac-key", KEY_MAX);
	if (ret < 0 || !encrypt)
		return ret;
	n += ret;
	ret = add_key(policy, "encryption-key", short_key ? 16 : KEY_MAX);
	if (ret < 0)
		return ret;
	n += ret;
	ret = add_key(policy, "encryption-iv", 16);
	return ret < 0 ? ret : n + ret;
}

static int fill(struct svr_out *o, struct json_object *root, unsigned int *added)
{
	struct json_object *authority, *list, *policy, *name;
	size_t i;
	int n;

	if (!json_object_object_get_ex(root, "authority", &authority) ||
	    !json_object_object_get_ex(authority, "security", &list))
		return 0;
	for (i = 0; i < json_object_array_length(list); i++) {
		policy = json_object_array_get_idx(list, i);
		n = fill_policy(policy);
		if (n < 0)
			return n;
		if (!n)
			continue;
		*added += (unsigned int)n;
		json_object_object_get_ex(policy, "name", &name);
		svr_out_item_begin(o);
		svr_out_str(o, "security_policy", "Security Policy", json_object_get_string(name));
		svr_out_u64(o, "keys", "Keys Made", (uint64_t)n);
		svr_out_item_end(o);
	}
	return 0;
}

/* ---- the file ------------------------------------------------------------------------------- */

/* The new text beside the old one, only for root or the owner, and then in its place. */
static int replace(const char *file, const char *text)
{
	char fresh[PATH_MAX];
	struct stat st;
	FILE *f = NULL;
	int fd, ret;

	if (stat(file, &st))
		return -errno;
	if (snprintf(fresh, sizeof(fresh), "%s.XXXXXX", file) >= (int)sizeof(fresh))
		return -ENAMETOOLONG;
	fd = mkostemp(fresh, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = fchmod(fd, PRIVATE) || fchown(fd, st.st_uid, st.st_gid) ? -errno : 0;
	if (!ret)
		f = fdopen(fd, "w");
	if (!f) {
		ret = ret ? ret : -errno;
		close(fd);
		goto out;
	}
	if (fputs(text, f) < 0 || fputc('\n', f) < 0 || fflush(f) || fsync(fd))
		ret = errno ? -errno : -EIO;
	if (fclose(f) && !ret)
		ret = -errno;
	if (!ret && rename(fresh, file))
		ret = -errno;
out:
	if (ret)
		unlink(fresh);
	return ret;
}

/*
 * What the file would lose by being written again, and members of a wrong type, are refused.
 * Whatever else is wrong with it besides missing keys is left to `svr config check`: it reads the
 * result.
 */
static int load(struct svr_cli *cli, const char *file, struct json_object **root)
{
	char line[SVR_CFG_POINTER_LEN + SVR_CFG_REASON_LEN + SVR_CFG_FOUND_LEN + 64];
	struct svr_config_errors *errs = calloc(1, sizeof(*errs));
	int err;

	if (!errs)
		return svr_cli_error(cli, -ENOMEM, "out of memory");
	err = svr_config_load_tree(file, root, errs);
	if (err == -EINVAL) {
		svr_config_error_print(&errs->list[0], line, sizeof(line));
		err = svr_cli_error(cli, err,
				    "%s:%s; nothing was changed; see: svr config check %s", file,
				    line, file);
	} else if (err) {
		err = svr_cli_error(cli, err, "%s: cannot read the configuration: %s", file,
				    strerror(-err));
	}
	free(errs);
	return err;
}

int svr_config_keys_run(struct svr_cli *cli, const char *const *val)
{
	const char *file = val[KEYS_FILE] ? val[KEYS_FILE] : cli->config;
	struct json_object *root;
	unsigned int added = 0;
	int err;

	err = load(cli, file, &root);
	if (err)
		return err;
	svr_out_list_begin(cli->out, NULL, SVR_OUT_TABLE, "no key was missing");
	err = fill(cli->out, root, &added);
	svr_out_list_end(cli->out);
	if (!err && added)
		err = replace(file, json_object_to_json_string_ext(
					    root, JSON_C_TO_STRING_PRETTY |
							  JSON_C_TO_STRING_PRETTY_TAB |
							  JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(root);
	if (err)
		return svr_cli_error(cli, err, "%s: %s", file, strerror(-err));
	return 0;
}
