/* SPDX-License-Identifier: Apache-2.0 */
/* One pattern: compiles its text to components, and matches a component against a name. */
#include "vmm/policy/glob.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/bytes.h"

/* The compiler's state. */
struct reader {
	struct arena *arena;
	const char *text;
	size_t at, end; /* of the component */
	struct err *err;
	/* the component's positions */
	struct glob_set set[GLOB_NAME_MAX + 1];
	bool star[GLOB_NAME_MAX + 2];
	char literal[GLOB_NAME_MAX + 1]; /* the byte, at positions that match a single one */
	bool single[GLOB_NAME_MAX + 1];
	unsigned count;
};

static void set_add(struct glob_set *set, unsigned byte)
{
	set->bits[byte / 64] |= 1ull << (byte % 64);
}

static bool set_has(const struct glob_set *set, unsigned byte)
{
	return set->bits[byte / 64] >> (byte % 64) & 1;
}

/* The next byte in a bracket; '\' escapes the one after it. -1: the component ends. */
static int bracket_byte(struct reader *reader)
{
	if (reader->at < reader->end && reader->text[reader->at] == '\\')
		reader->at++;
	return reader->at < reader->end ? (uint8_t)reader->text[reader->at++] : -1;
}

/* at points behind the '['. */
static int read_bracket(struct reader *reader, struct glob_set *set)
{
	bool negated = false, first = true;
	int low, high, byte;
	unsigned i;

	if (reader->at < reader->end && strchr("!^", reader->text[reader->at])) {
		negated = true;
		reader->at++;
	}
	for (;; first = false) {
		if (!first && reader->at < reader->end && reader->text[reader->at] == ']') {
			reader->at++;
			break;
		}
		low = high = bracket_byte(reader);
		if (reader->at + 1 < reader->end && reader->text[reader->at] == '-' &&
		    reader->text[reader->at + 1] != ']') {
			reader->at++;
			high = bracket_byte(reader);
		}
		if (low < 0 || high < 0)
			return err_set(reader->err, EINVAL,
				       "'[' without ']': write \\[ for the character itself");
		if (low >= 0x80 || high >= 0x80)
			return err_set(reader->err, EINVAL,
				       "only ASCII characters are allowed in [...]: use ?? or *");
		if (high < low)
			return err_set(reader->err, EINVAL, "the range %c-%c is empty", low, high);
		for (byte = low; byte <= high; byte++)
			set_add(set, (unsigned)byte);
	}
	for (i = 0; negated && i < ARRAY_SIZE(set->bits); i++)
		set->bits[i] = ~set->bits[i];
	set->bits[0] &= ~(1ull | 1ull << '/'); /* NUL and '/' are in no name */
	if (!(set->bits[0] | set->bits[1] | set->bits[2] | set->bits[3]))
		return err_set(reader->err, EINVAL, "nothing can match this [...]");
	return 0;
}

static int read_position(struct reader *reader)
{
	struct glob_set *set = &reader->set[reader->count];
	char c = reader->text[reader->at++];

	if (reader->count >= GLOB_NAME_MAX)
		return err_set(reader->err, EINVAL, "longer than any file name (%d bytes)",
			       GLOB_NAME_MAX);
	memset(set, 0, sizeof(*set));
	reader->single[reader->count] = false;
	if (c == '?') {
		memset(set, 0xff, sizeof(*set));
		set->bits[0] &= ~(1ull | 1ull << '/');
	} else if (c == '[') {
		int ret = read_bracket(reader, set);

		if (ret < 0)
			return ret;
	} else {
		if (c == '\\' && reader->at >= reader->end)
			return err_set(reader->err, EINVAL, "nothing follows the '\\'");
		if (c == '\\')
			c = reader->text[reader->at++];
		set_add(set, (uint8_t)c);
		reader->literal[reader->count] = c;
		reader->single[reader->count] = true;
	}
	reader->count++;
	reader->star[reader->count] = false;
	return 0;
}

static bool is_wild(const struct reader *reader)
{
	unsigned i;

	for (i = 0; i < reader->count; i++)
		if (!reader->single[i] || reader->star[i])
			return true;
	return reader->star[reader->count];
}

/* The grouping of bytes while sets are added: the group of each byte, and how many bytes it has. */
struct grouping {
	uint8_t *group; /* 256 */
	uint16_t size[256];
	unsigned groups;
};

/* Splits a group that has other bytes too. Most positions match a single byte. */
static void split_byte(struct grouping *grouping, uint8_t byte)
{
	if (grouping->size[grouping->group[byte]] == 1)
		return;
	grouping->size[grouping->group[byte]]--;
	grouping->size[grouping->groups] = 1;
	grouping->group[byte] = (uint8_t)grouping->groups++;
}

/* Splits each group that has bytes in the set and others. */
static void split_set(struct grouping *grouping, const struct glob_set *set)
{
	uint16_t inside[256] = {0},
		 moved[256]; /* of each group: its bytes in the set; where they go */
	unsigned before = grouping->groups, byte, k;

	for (byte = 0; byte < 256; byte++)
		inside[grouping->group[byte]] += set_has(set, byte);
	for (k = 0; k < before; k++) {
		moved[k] = (uint16_t)k;
		if (inside[k] == 0 || inside[k] == grouping->size[k])
			continue;
		moved[k] = (uint16_t)grouping->groups++;
		grouping->size[moved[k]] = inside[k];
		grouping->size[k] = (uint16_t)(grouping->size[k] - inside[k]);
	}
	for (byte = 0; byte < 256; byte++)
		if (set_has(set, byte))
			grouping->group[byte] = (uint8_t)moved[grouping->group[byte]];
}

/* Groups bytes that are in the same sets of the component. Returns the number of groups. */
static unsigned group_bytes(const struct reader *reader, uint8_t group[256])
{
	struct grouping grouping = {.group = group, .size = {256}, .groups = 1};
	unsigned i;

	memset(group, 0, 256);
	for (i = 0; i < reader->count; i++) {
		if (reader->single[i])
			split_byte(&grouping, (uint8_t)reader->literal[i]);
		else
			split_set(&grouping, &reader->set[i]);
	}
	return grouping.groups;
}

static int compile_masks(const struct reader *reader, struct glob_part *part)
{
	uint8_t *group = arena_alloc(reader->arena, 256);
	unsigned groups, byte, i;
	uint64_t *mask, *loop, bit;

	if (!group)
		return -ENOMEM;
	groups = group_bytes(reader, group);
	mask = arena_array(reader->arena, (size_t)groups * part->words, sizeof(*mask));
	loop = arena_array(reader->arena, part->words, sizeof(*loop));
	if (!mask || !loop)
		return -ENOMEM;
	for (i = 0; i <= reader->count; i++) {
		bit = 1ull << (i % 64);
		if (reader->star[i])
			loop[i / 64] |= bit;
		if (i == reader->count)
			break;
		if (reader->single[i]) {
			byte = (uint8_t)reader->literal[i];
			mask[group[byte] * part->words + i / 64] |= bit;
			continue;
		}
		for (byte = 0; byte < 256; byte++)
			if (set_has(&reader->set[i], byte))
				mask[group[byte] * part->words + i / 64] |= bit;
	}
	part->group = group;
	part->mask = mask;
	part->loop = loop;
	return 0;
}

static int finish_part(const struct reader *reader, struct glob_part *part)
{
	unsigned count = reader->count, head = 0, tail = 0;
	struct glob_set *set;

	part->kind = is_wild(reader) ? GLOB_WILD : GLOB_LITERAL;
	while (head < count && reader->single[head] && !reader->star[head])
		head++;
	while (tail < count && reader->single[count - 1 - tail] && !reader->star[count - tail])
		tail++;
	part->prefix = arena_copy(reader->arena, reader->literal, head);
	part->prefix_length = head;
	part->suffix = arena_copy(reader->arena, reader->literal + count - tail, tail);
	part->suffix_length = tail;
	part->count = count;
	part->words = count / 64 + 1;
	part->any = count == 0 && reader->star[0];
	part->star_first = reader->star[0];
	part->star_last = reader->star[count];
	set = arena_array(reader->arena, count + 1, sizeof(*set));
	if (!part->prefix || !part->suffix || !set)
		return -ENOMEM;
	memcpy(set, reader->set, count * sizeof(*set));
	part->set = set;
	return part->kind == GLOB_WILD ? compile_masks(reader, part) : 0;
}

static int compile_part(struct reader *reader, struct glob_part *part)
{
	const char *text = reader->text + reader->at;
	size_t length = reader->end - reader->at;
	int ret;

	if (length == 2 && memcmp(text, "**", 2) == 0) {
		part->kind = GLOB_TREE;
		reader->at = reader->end;
		return 0;
	}
	if (length == 0)
		return err_set(reader->err, EINVAL,
			       "an empty component: write one '/', and none at the end");
	if ((length == 1 && text[0] == '.') || (length == 2 && memcmp(text, "..", 2) == 0))
		return err_set(reader->err, EINVAL,
			       "a pattern has no '%.*s' component: rules match normalised paths",
			       (int)length, text);
	reader->count = 0;
	reader->star[0] = false;
	while (reader->at < reader->end) {
		if (reader->text[reader->at] == '*') {
			if (reader->star[reader->count])
				return err_set(reader->err, EINVAL,
					       "** must stand alone between slashes: write **/*.c "
					       "for all .c files");
			reader->star[reader->count] = true;
			reader->at++;
			continue;
		}
		ret = read_position(reader);
		if (ret < 0)
			return ret;
	}
	return finish_part(reader, part);
}

/* The end of the component at offset at: the next '/'. A '\' does not escape a '/'. */
static size_t component_end(const char *text, size_t at, size_t length)
{
	for (; at < length && text[at] != '/'; at++)
		if (text[at] == '\\' && at + 1 < length && text[at + 1] != '/')
			at++;
	return at;
}

int glob_compile(struct arena *arena, const char *text, size_t length, struct glob *glob,
		 size_t *at, struct err *err)
{
	struct reader reader; /* large, so that only what is used of it is written */
	struct glob_part *part;
	size_t slashes = 0, i;
	int ret = 0;

	reader.arena = arena;
	reader.text = text;
	reader.at = reader.end = 0;
	reader.err = err;
	*at = 0;
	if (length == 0 || text[0] != '/')
		return err_set(err, EINVAL, "a path begins with '/'");
	if (memchr(text, '\0', length))
		return err_set(err, EINVAL, "no path has a NUL byte");
	for (i = 0; i < length; i++)
		slashes += text[i] == '/';
	part = arena_array(arena, slashes, sizeof(*part));
	glob->text = arena_copy(arena, text, length);
	glob->part = part;
	glob->parts = 0;
	if (!part || !glob->text)
		return -ENOMEM;
	if (length == 1) /* "/" has no component */
		return 0;
	for (i = 0; i < length && ret == 0; i = reader.end) {
		reader.at = i + 1;
		reader.end = component_end(text, reader.at, length);
		ret = compile_part(&reader, &part[glob->parts]);
		/* Two ** in a row equal one. */
		if (glob->parts == 0 || part[glob->parts].kind != GLOB_TREE ||
		    part[glob->parts - 1].kind != GLOB_TREE)
			glob->parts++;
	}
	*at = reader.at < length ? reader.at : length;
	return ret;
}

bool glob_part_matches(const struct glob_part *part, const char *name, size_t length)
{
	uint64_t state[GLOB_NAME_MAX / 64 + 1] = {1}, carry, moved;
	const uint64_t *mask;
	unsigned w;
	size_t i;

	if (part->kind == GLOB_TREE)
		return true;
	if (part->kind == GLOB_LITERAL)
		return length == part->prefix_length && memcmp(name, part->prefix, length) == 0;
	if (length > GLOB_NAME_MAX || length < part->count)
		return false;
	if (part->words == 1) {
		uint64_t s = 1;

		for (i = 0; i < length && s; i++)
			s = (s & part->mask[part->group[(uint8_t)name[i]]]) << 1 |
			    (s & part->loop[0]);
		return s >> part->count & 1;
	}
	for (i = 0; i < length; i++) {
		mask = part->mask + part->group[(uint8_t)name[i]] * part->words;
		for (w = 0, carry = 0; w < part->words; w++) {
			moved = state[w] & mask[w];
			state[w] = moved << 1 | carry | (state[w] & part->loop[w]);
			carry = moved >> 63;
		}
	}
	return state[part->count / 64] >> (part->count % 64) & 1;
}

bool glob_is_beneath(const struct glob *a, const struct glob *b)
{
	unsigned i;

	if (a->parts == 0 || a->part[a->parts - 1].kind != GLOB_TREE || b->parts + 1 < a->parts)
		return false;
	for (i = 0; i + 1 < a->parts; i++)
		if (a->part[i].kind != GLOB_LITERAL || b->part[i].kind != GLOB_LITERAL ||
		    a->part[i].prefix_length != b->part[i].prefix_length ||
		    memcmp(a->part[i].prefix, b->part[i].prefix, a->part[i].prefix_length) != 0)
			return false;
	return true;
}

/* Each component of the path moves the set of parts that may match next: state i is part i. */
struct states {
	uint64_t bits[GLOB_PARTS_MAX / 64 + 1];
};

static bool is_in(const struct states *states, unsigned i)
{
	return states->bits[i / 64] >> (i % 64) & 1;
}

/* Adds a part, and those behind it as far as `**` may match nothing. */
static void enter(struct states *states, const struct glob *glob, unsigned i)
{
	for (;; i++) {
		states->bits[i / 64] |= 1ull << (i % 64);
		if (i == glob->parts || glob->part[i].kind != GLOB_TREE)
			return;
	}
}

bool glob_matches(const struct glob *glob, const char *path, size_t length)
{
	const char *end = path + length, *name = path + 1, *slash;
	struct states now = {.bits = {0}}, next;
	unsigned i;

	if (glob->parts > GLOB_PARTS_MAX)
		return false;
	enter(&now, glob, 0);
	for (; name < end; name = slash + 1) {
		slash = memchr(name, '/', (size_t)(end - name));
		if (!slash)
			slash = end;
		memset(&next, 0, sizeof(next));
		for (i = 0; i < glob->parts; i++) {
			if (!is_in(&now, i))
				continue;
			if (glob->part[i].kind == GLOB_TREE)
				enter(&next, glob, i);
			else if (glob_part_matches(&glob->part[i], name, (size_t)(slash - name)))
				enter(&next, glob, i + 1);
		}
		now = next;
	}
	return is_in(&now, glob->parts);
}
