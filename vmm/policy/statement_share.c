/* SPDX-License-Identifier: Apache-2.0 */
/* Shares: the statement of a policy, and the option of the command line. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/quantity.h"
#include "vmm/policy/parse.h"

/* Checks a share's path in the guest: normalised, and not one that the guest itself needs. */
static int check_guest_path(struct parser *parser, const struct word *word, const char *path)
{
	static const char *const taken[] = {"/", "/proc", "/sys", "/dev", "/run/cordon"};
	size_t length = strlen(path), i;

	if (path[0] != '/' || (length > 1 && path[length - 1] == '/') || strstr(path, "//") ||
	    strstr(path, "/./") || strstr(path, "/../") ||
	    (length >= 2 && strcmp(path + length - 2, "/.") == 0) ||
	    (length >= 3 && strcmp(path + length - 3, "/..") == 0))
		return parse_fail(parser, EINVAL, word->column,
				  "'%.80s': give an absolute path in the guest, without '.', '..' "
				  "and redundant '/'",
				  word->text);
	if (path[1] == '\0')
		return parse_fail(parser, EINVAL, word->column,
				  "%.80s cannot be the mount point of a share, --allow-home or "
				  "not: choose another, "
				  "such as /work, or share a project's directory",
				  word->text);
	for (i = 0; i < ARRAY_SIZE(taken); i++)
		if (strcmp(path, taken[i]) == 0 ||
		    (i > 0 && strncmp(path, taken[i], strlen(taken[i])) == 0 &&
		     path[strlen(taken[i])] == '/'))
			return parse_fail(parser, EINVAL, word->column,
					  "'%.80s': the guest itself needs that path", path);
	return 0;
}

static int add_share(struct parser *parser, const struct policy_share *share, unsigned column)
{
	struct policy *policy = parser->policy;
	const struct policy_share *other;
	size_t i;

	for (i = 0; i < policy->shares; i++) {
		other = &policy->share[i];
		if (strcmp(other->guest, share->guest) != 0)
			continue;
		if (other->file)
			return parse_fail(parser, EINVAL, column,
					  "another share is at %.80s already (%.80s:%u)",
					  share->guest, other->file, other->line);
		return parse_fail(parser, EINVAL, column, "another share is at %.80s already",
				  share->guest);
	}
	if (policy->shares == POLICY_SHARES_MAX)
		return parse_fail(parser, EINVAL, column, "more than %d shares", POLICY_SHARES_MAX);
	policy->share[policy->shares++] = *share;
	return 0;
}

static const char *const caches[] = {
	[POLICY_CACHE_STRICT] = "strict",
	[POLICY_CACHE_LOOSE] = "loose",
	[POLICY_CACHE_NONE] = "none",
};

const char *policy_cache_name(enum policy_cache cache)
{
	return cache < ARRAY_SIZE(caches) ? caches[cache] : NULL;
}

enum policy_cache policy_cache_named(const char *name)
{
	int index = name ? word_index(caches, ARRAY_SIZE(caches), name) : -1;

	return index < 0 ? POLICY_CACHE_USUAL : (enum policy_cache)index;
}

enum policy_cache policy_share_cache(const struct policy_share *share)
{
	if (share->cache != POLICY_CACHE_USUAL)
		return share->cache;
	return share->read_only ? POLICY_CACHE_LOOSE : POLICY_CACHE_STRICT;
}

/* The index of the value in the list, or -EINVAL with a message. */
static int option_value(const char *name, const char *value, const char *const *words, size_t count,
			struct err *err)
{
	int index = word_index(words, count, value);
	char hint[160];

	if (index < 0)
		return err_set(err, EINVAL, "unknown value '%.40s' of %s: %s", value, name,
			       word_hint(hint, sizeof(hint), value, words, count));
	return index;
}

static int owner_option(struct policy_share *share, bool uid, const char *value, struct err *err)
{
	uint64_t id;
	int ret = quantity_number(value, 0, POLICY_SHARE_ID_MAX, &id, err);

	if (ret == 0)
		*(uid ? &share->uid : &share->gid) = (int64_t)id;
	return ret;
}

int policy_share_option(struct policy_share *share, const char *option, size_t *at, struct err *err)
{
	static const char *const owners[] = {"map", "host"};
	static const char *const words[] = {"ro", "uid=", "gid=", "owner=", "cache="};
	enum { RO, UID, GID, OWNER, CACHE };
	const char *equals = strchr(option, '=');
	size_t value = equals ? (size_t)(equals + 1 - option) : 0;
	char name[16], hint[160];
	int index, ret = 0;

	*at = 0;
	snprintf(name, sizeof(name), "%.*s", (int)min_u64(value, sizeof(name) - 1), option);
	index = word_index(words, ARRAY_SIZE(words), equals ? name : option);
	if (index < 0)
		return err_set(err, EINVAL, "unknown option '%.60s': %s", option,
			       word_hint(hint, sizeof(hint), equals ? name : option, words,
					 ARRAY_SIZE(words)));
	if (share->given & 1u << index)
		return err_set(err, EINVAL, "'%s' is given twice", words[index]);
	share->given |= 1u << index;
	*at = value;
	switch (index) {
	case RO:
		share->read_only = true;
		break;
	case UID:
	case GID:
		return owner_option(share, index == UID, equals + 1, err);
	case OWNER:
		ret = option_value(name, equals + 1, owners, ARRAY_SIZE(owners), err);
		share->host_owners = ret == 1;
		break;
	case CACHE:
		ret = option_value(name, equals + 1, caches, ARRAY_SIZE(caches), err);
		if (ret > 0)
			share->cache = (enum policy_cache)ret;
		break;
	}
	return ret < 0 ? ret : 0;
}

static int share_option(struct parser *parser, const struct word *word, struct policy_share *share)
{
	struct err why;
	size_t at;

	if (policy_share_option(share, word->text, &at, &why) < 0)
		return parse_fail(parser, EINVAL, word->column + (unsigned)at, "%s", why.text);
	return 0;
}

/* Options as --share takes them, "/w:ro", would else become a part of the path. */
static int check_suffix(struct parser *parser, const struct word *guest)
{
	static const char *const words[] = {"ro", "rw", "uid=", "gid=", "owner=", "cache="};
	const char *colon = strchr(guest->text, ':');
	size_t i;

	for (i = 0; colon && i < ARRAY_SIZE(words); i++)
		if (strncmp(colon + 1, words[i], strlen(words[i])) == 0)
			return parse_fail(parser, EINVAL,
					  guest->column + (unsigned)(colon - guest->text),
					  "'%.80s': in a policy, options stand behind a blank, "
					  "as in share HOST-DIR /GUEST-DIR ro",
					  guest->text);
	return 0;
}

/* A relative path starts at the file's directory; the host's kernel resolves its "." and "..". */
static const char *host_path(struct parser *parser, const struct word *word)
{
	const char *text = parse_expand(parser, word, false), *directory = parser->directory;
	char *path, *made;

	if (!text)
		return NULL;
	path = text == word->text ? parse_plain(parser, text) : (char *)text;
	if (!path) {
		parse_no_memory(parser);
		return NULL;
	}
	if (path[0] == '/')
		return path;
	if (!directory) {
		parse_fail(parser, EINVAL, word->column, "'%.80s': give an absolute path", path);
		return NULL;
	}
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	if (strcmp(path, ".") == 0 || path[0] == '\0')
		return directory;
	made = arena_alloc(&parser->policy->arena, strlen(directory) + strlen(path) + 2);
	if (!made) {
		parse_no_memory(parser);
		return NULL;
	}
	sprintf(made, "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, path);
	return made;
}

int parse_share(struct parser *parser)
{
	struct policy_share share = {
		.uid = -1,
		.gid = -1,
		.file = parser->file,
		.line = parser->line,
	};
	const struct word *guest = &parser->word[2];
	const char *text;
	unsigned i;
	int ret = 0;

	if (parser->words < 3)
		return parse_fail(parser, EINVAL, parser->word[0].column,
				  "write share HOST-DIR /GUEST-DIR [ro] [uid=N] [gid=N] "
				  "[owner=map|host] [cache=strict|loose|none]");
	share.host = host_path(parser, &parser->word[1]);
	text = parse_expand(parser, guest, false);
	if (!share.host || !text)
		return -EINVAL;
	share.guest = text == guest->text ? parse_plain(parser, text) : text;
	if (!share.guest)
		return parse_no_memory(parser);
	ret = check_suffix(parser, guest);
	if (ret == 0)
		ret = check_guest_path(parser, guest, share.guest);
	for (i = 3; i < parser->words && ret == 0; i++)
		ret = share_option(parser, &parser->word[i], &share);
	return ret < 0 ? ret : add_share(parser, &share, guest->column);
}

int parse_share_option(struct parser *parser, const struct policy_share *given)
{
	struct arena *arena = &parser->policy->arena;
	struct policy_share share = *given;
	struct word word = {.text = given->guest};
	enum policy_action action = given->read_only ? POLICY_ACTION_READ : POLICY_ACTION_WRITE;
	int ret;

	parser->file = "--share";
	parser->line = 0;
	if (strlen(given->guest) > POLICY_PATTERN_MAX)
		return parse_fail(parser, EINVAL, 0, "'%.80s...': longer than %u bytes",
				  given->guest, POLICY_PATTERN_MAX);
	ret = check_guest_path(parser, &word, given->guest);
	if (ret < 0)
		return ret;
	share.host = arena_copy(arena, given->host, strlen(given->host));
	share.guest = arena_copy(arena, given->guest, strlen(given->guest));
	share.file = NULL;
	if (!share.host || !share.guest)
		return parse_no_memory(parser);
	ret = add_share(parser, &share, 0);
	return ret < 0 ? ret : parse_implied_rule(parser, action, given->guest);
}
