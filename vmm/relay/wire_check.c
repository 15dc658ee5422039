/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/wire_check.h"

#include <linux/virtio_net.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/flows.h"

size_t wire_frame(const uint8_t *data, size_t length)
{
	struct virtio_net_hdr_v1 header;

	if (length < sizeof(header))
		return length;
	memcpy(&header, data, sizeof(header));
	return header.num_buffers ? sizeof(header) + header.num_buffers : length;
}

static bool is_text(const char *field, size_t size)
{
	return memchr(field, '\0', size) != NULL;
}

/* Of a name as DNS has it, or of an address. */
static bool is_name(const char *text)
{
	return text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_.:")] == '\0';
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

static bool is_address(const struct ip_address *address)
{
	static const uint8_t zeros[IP_BYTES];
	size_t used = address->family == AF_INET6 ? 16 : address->family == AF_INET ? 4 : 0;

	return used > 0 && memcmp(address->bytes + used, zeros, IP_BYTES - used) == 0;
}

static bool is_no_address(const struct ip_address *address)
{
	static const struct ip_address none;

	return ip_same(address, &none);
}

/* --- requests for a verdict ------------------------------------------------------------------- */

static bool is_http(const struct relay_check *check)
{
	if (!check->has_method)
		return !check->unclear && !check->method[0] && !check->path[0];
	return check->protocol == POLICY_HTTP && check->method[0] && is_printable(check->method) &&
	       check->path[0] && is_printable(check->path);
}

static bool fits_operation(const struct relay_check *check)
{
	switch (check->op) {
	case POLICY_CONNECT:
		return check->protocol <= POLICY_ICMP && is_address(&check->address) &&
		       (!check->has_name || check->name[0]) && is_http(check) &&
		       (check->protocol != POLICY_ICMP || check->port == 0);
	case POLICY_RESOLVE: /* of a name that DNS does not have, the name is "" */
		return check->protocol == POLICY_DNS && is_no_address(&check->address) &&
		       check->has_name && check->port == 0 && !check->has_method && is_http(check);
	case POLICY_LISTEN:
		return (check->protocol == POLICY_TCP || check->protocol == POLICY_UDP) &&
		       is_address(&check->address) && !check->has_name && check->port != 0 &&
		       !check->has_method && is_http(check);
	default:
		return false;
	}
}

/* Within a connection that a person has allowed; and such a request is never refused. */
static bool may_be_covered(const struct relay_check *check)
{
	return check->ticket != 0 && check->op == POLICY_CONNECT &&
	       (check->protocol == POLICY_TLS || check->protocol == POLICY_HTTP);
}

bool wire_read_check(const uint8_t *data, size_t length, struct relay_check *to)
{
	const size_t least = offsetof(struct relay_check, path);

	/* Not sizeof(*to), which may have padding behind the path. */
	if (length <= least || length > least + sizeof(to->path))
		return false;
	memset(to, 0, sizeof(*to));
	memcpy(to, data, length);
	/* Only up to its NUL is sent. */
	if (strnlen(to->path, sizeof(to->path)) != length - least - 1)
		return false;
	return to->host <= 1 && to->unclear <= 1 && to->has_name <= 1 && to->has_method <= 1 &&
	       is_text(to->name, sizeof(to->name)) && is_name(to->name) &&
	       (to->covered == 0 || (to->covered == 1 && may_be_covered(to))) &&
	       (to->has_name || !to->name[0]) && is_text(to->method, sizeof(to->method)) &&
	       fits_operation(to);
}

/* --- events ----------------------------------------------------------------------------------- */

static void make_harmless(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

bool wire_read_note(const uint8_t *data, size_t length, struct relay_note *to, const char **what)
{
	static const char *const events[] = {"flow-end", "flow-refused", "dns-answer"};
	size_t i;

	if (length != sizeof(*to))
		return false;
	memcpy(to, data, length);
	if (!is_text(to->what, sizeof(to->what)) || !is_text(to->object, sizeof(to->object)) ||
	    !is_text(to->detail, sizeof(to->detail)))
		return false;
	for (i = 0; i < ARRAY_SIZE(events); i++)
		if (strcmp(to->what, events[i]) == 0)
			break;
	if (i == ARRAY_SIZE(events))
		return false;
	*what = events[i];
	make_harmless(to->object);
	make_harmless(to->detail);
	return true;
}

bool wire_read_published(const uint8_t *data, size_t length, struct relay_published *to)
{
	if (length != sizeof(*to))
		return false;
	memcpy(to, data, length);
	return to->which.udp <= 1 && to->which.host_port != 0 && to->which.guest_port != 0 &&
	       (is_address(&to->which.address) || is_no_address(&to->which.address)) &&
	       to->error >= 0 && to->error < 4096;
}

/* --- what there is ---------------------------------------------------------------------------- */

/* It would count for centuries; the control protocol has no larger numbers. */
static bool is_count(uint64_t count)
{
	return count <= INT64_MAX;
}

static bool are_counts(const struct relay_stats *stats)
{
	const uint64_t counts[] = {stats->guest_frames, stats->guest_bytes, stats->peer_frames,
				   stats->peer_bytes,	stats->questions,   stats->answered,
				   stats->refused,	stats->flooded,	    stats->dropped,
				   stats->unlogged,	stats->memory};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(counts); i++)
		if (!is_count(counts[i]))
			return false;
	for (i = 0; i < PACKET_VERDICTS; i++)
		if (!is_count(stats->drop[i]))
			return false;
	return stats->drop[PACKET_OK] == 0;
}

bool wire_read_stats(const uint8_t *data, size_t length, struct relay_stats *to)
{
	if (length != sizeof(*to))
		return false;
	memcpy(to, data, length);
	return to->flows <= RELAY_FLOWS && to->waiting <= RELAY_CHECKS && are_counts(to);
}

bool wire_read_flow(const uint8_t *data, size_t length, struct relay_flow_info *to)
{
	if (length != sizeof(*to))
		return false;
	memcpy(to, data, length);
	return to->left < RELAY_FLOWS &&
	       (to->protocol == POLICY_TCP || to->protocol == POLICY_UDP ||
		to->protocol == POLICY_ICMP) &&
	       to->inbound <= 1 && to->host <= 1 && is_address(&to->peer) &&
	       is_count(to->bytes_out) && is_count(to->bytes_in) && is_count(to->age_ns) &&
	       is_text(to->name, sizeof(to->name)) && is_name(to->name);
}
