/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/denials.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/bucket.h"
#include "vmm/base/fd.h"
#include "vmm/base/text.h"
#include "vmm/policy/remedy.h"

#define RULE_MAX 512

/* A denial: what is constant in its line, and the rest. */
struct entry {
	char *key; /* equal for equal denials; NULL: the entry is free */
	json_t *line;
	uint64_t order; /* the newest has the highest */
	uint64_t times;
	time_t last;
};

struct denials {
	struct loop *loop;
	denials_send *send;
	void *arg;
	int event_fd;
	struct loop_source source;
	struct loop_timer timer;
	struct agent_reply reply;
	struct bucket rate;
	bool begun, under_way;
	atomic_bool changed;  /* since the text was last sent */
	pthread_mutex_t lock; /* of what follows */
	uint64_t last_order;
	struct entry entry[DENIALS_MAX];
};

/* --- entries ---------------------------------------------------------------------------------- */

/* What makes two denials the same: operation, object, rule. NULL: out of memory. */
static char *make_key(const struct policy_request *request, const struct policy_decision *decision)
{
	char object[POLICY_REQUEST_TEXT];
	const char *rule = decision->rule ? decision->rule->text : "";
	char *key;

	policy_request_text(request, object);
	if (asprintf(&key, "%d %s %u %s %s", (int)request->op, decision->reason, decision->line,
		     rule, object) < 0)
		return NULL;
	return key;
}

static json_t *make_line(const struct policy *policy, const struct policy_request *request,
			 const struct policy_decision *decision)
{
	const struct policy_rule *rule = decision->line ? decision->rule : NULL;
	char object[POLICY_REQUEST_TEXT], shown[DENIALS_OBJECT_MAX + 1], text[RULE_MAX];
	char allow[POLICY_REMEDY_LINE];
	bool helps = policy_remedy(policy, request, decision, allow), fits;
	json_t *line;

	policy_request_text(request, object);
	text_safe(shown, sizeof(shown), object, strlen(object), 0);
	text_safe(text, sizeof(text), rule ? rule->text : "default",
		  strlen(rule ? rule->text : "default"), 0);
	fits = helps && strlen(allow) <= DENIALS_LINE_MAX;
	line = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s*}", "class",
			 policy_class_name(request->class), "operation",
			 policy_op_name(request->op), "object", shown, "rule", text, "reason",
			 decision->reason, "retry", helps ? "after-approval" : "never", "allow",
			 fits ? allow : NULL);
	return line;
}

static void free_entry(struct entry *entry)
{
	free(entry->key);
	json_decref(entry->line);
	*entry = (struct entry){.key = NULL};
}

/* The entry with that key; else a free one, or the oldest. */
static struct entry *find(struct denials *denials, const char *key)
{
	struct entry *place = &denials->entry[0], *entry;
	unsigned i;

	for (i = 0; i < DENIALS_MAX; i++) {
		entry = &denials->entry[i];
		if (entry->key && strcmp(entry->key, key) == 0)
			return entry;
		if (entry->order < place->order)
			place = entry;
	}
	return place;
}

static void count(struct denials *denials, struct entry *entry)
{
	entry->order = ++denials->last_order;
	entry->times++;
	entry->last = time(NULL);
}

void denials_note(void *arg, const struct policy *policy, const struct policy_request *request,
		  const struct policy_decision *decision)
{
	struct denials *denials = arg;
	struct entry *entry;
	char *key;

	if (decision->verdict == POLICY_HIDE ||
	    (decision->rule && decision->rule->action == POLICY_ACTION_HIDE))
		return;
	key = make_key(request, decision);
	if (!key)
		return;
	pthread_mutex_lock(&denials->lock);
	entry = find(denials, key);
	if (entry->key && strcmp(entry->key, key) == 0) {
		free(key);
	} else {
		free_entry(entry);
		entry->key = key;
		entry->line = make_line(policy, request, decision);
	}
	count(denials, entry);
	pthread_mutex_unlock(&denials->lock);
	if (!atomic_exchange(&denials->changed, true))
		fd_notify(denials->event_fd);
}

/* --- the text --------------------------------------------------------------------------------- */

/* The line of an entry, with a newline; NULL: out of memory. */
static char *print(const struct entry *entry)
{
	char stamp[32], *text, *line = NULL;
	struct tm parts;

	if (!entry->line)
		return NULL;
	gmtime_r(&entry->last, &parts);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &parts);
	json_object_set_new(entry->line, "times", json_integer((json_int_t)entry->times));
	json_object_set_new(entry->line, "last", json_string(stamp));
	text = json_dumps(entry->line, JSON_COMPACT);
	if (text && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}

struct place {
	uint64_t order;
	struct entry *entry;
};

static int newest_first(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->order < y->order ? 1 : x->order > y->order ? -1 : 0;
}

/* Writes from the end of the buffer to its beginning, the newest line first; then moves all. */
size_t denials_text(struct denials *denials, char to[DENIALS_BYTES])
{
	struct place sorted[DENIALS_MAX];
	size_t at = DENIALS_BYTES, length;
	char *line;
	unsigned i;

	pthread_mutex_lock(&denials->lock);
	for (i = 0; i < DENIALS_MAX; i++)
		sorted[i] = (struct place){denials->entry[i].order, &denials->entry[i]};
	qsort(sorted, DENIALS_MAX, sizeof(sorted[0]), newest_first);
	for (i = 0; i < DENIALS_MAX && sorted[i].entry->key; i++) {
		line = print(sorted[i].entry);
		length = line ? strlen(line) : 0;
		if (length <= at) {
			at -= length;
			memcpy(to + at, line ? line : "", length);
		}
		free(line);
		if (length > at)
			break;
	}
	pthread_mutex_unlock(&denials->lock);
	memmove(to, to + at, DENIALS_BYTES - at);
	return DENIALS_BYTES - at;
}

/* --- sending ---------------------------------------------------------------------------------- */

static void send_changes(struct denials *denials)
{
	static char text[DENIALS_BYTES]; /* only one thread at a time runs callbacks of the loop */
	uint64_t wait_ns;
	int ret;

	if (!denials->begun || denials->under_way || !atomic_load(&denials->changed))
		return;
	wait_ns = bucket_wait_ns(&denials->rate, loop_now_ns());
	if (wait_ns > 0) {
		loop_timer_start(denials->loop, &denials->timer, wait_ns);
		return;
	}
	bucket_take(&denials->rate, 1);
	/* First: a denial from here on is a change again. */
	atomic_store(&denials->changed, false);
	ret = denials->send(denials->arg, text, denials_text(denials, text), &denials->reply);
	if (ret == 0)
		denials->under_way = true;
	else if (ret == -EAGAIN) { /* too much waits to be sent: once more */
		atomic_store(&denials->changed, true);
		loop_timer_start(denials->loop, &denials->timer, 1000000000u / DENIALS_SECOND);
	} else {
		denials->begun = false; /* until the agent connects again */
	}
}

static void on_event(void *arg, uint32_t events)
{
	struct denials *denials = arg;
	uint64_t times;

	(void)events;
	if (read(denials->event_fd, &times, sizeof(times)) == sizeof(times))
		send_changes(denials);
}

static void on_time(void *arg)
{
	send_changes(arg);
}

/* On a lost connection denials_begin() follows. */
static void on_reply(void *arg, int error)
{
	struct denials *denials = arg;

	denials->under_way = false;
	if (error == AGENT_REPLY_LOST)
		denials->begun = false;
	send_changes(denials);
}

void denials_begin(struct denials *denials)
{
	bool any;

	if (!denials)
		return;
	pthread_mutex_lock(&denials->lock);
	any = denials->last_order > 0;
	pthread_mutex_unlock(&denials->lock);
	denials->begun = true;
	denials->under_way = false;
	if (any)
		atomic_store(&denials->changed, true);
	send_changes(denials);
}

/* --- life ------------------------------------------------------------------------------------- */

int denials_create(struct denials **out, struct loop *loop, denials_send *send, void *arg)
{
	struct denials *denials = calloc(1, sizeof(*denials));
	int ret;

	*out = denials;
	if (!denials)
		return -ENOMEM;
	denials->loop = loop;
	denials->send = send;
	denials->arg = arg;
	pthread_mutex_init(&denials->lock, NULL);
	denials->timer = (struct loop_timer){.expired = on_time, .arg = denials};
	denials->reply = (struct agent_reply){.done = on_reply, .arg = denials};
	bucket_init_burst(&denials->rate, DENIALS_SECOND, DENIALS_SECOND, loop_now_ns());
	denials->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	denials->source =
		(struct loop_source){.fd = denials->event_fd, .ready = on_event, .arg = denials};
	ret = denials->event_fd < 0 ? -errno : loop_add(loop, &denials->source, EPOLLIN);
	if (ret < 0) {
		denials_destroy(denials);
		*out = NULL;
	}
	return ret;
}

void denials_destroy(struct denials *denials)
{
	unsigned i;

	if (!denials)
		return;
	loop_timer_stop(denials->loop, &denials->timer);
	loop_remove(denials->loop, &denials->source);
	fd_close(&denials->event_fd);
	for (i = 0; i < DENIALS_MAX; i++)
		free_entry(&denials->entry[i]);
	pthread_mutex_destroy(&denials->lock);
	free(denials);
}
