/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file server's process: operations that an operator decides about. A request remembers what it
 * has asked, with the bytes of the question, which name operation, paths and policy: only for just
 * these the decision counts, when the request is handled again. With the request it is forgotten.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/files/server_internal.h"

/* The slot of the request that the calling thread handles; FILES_SLOTS: none. */
static _Thread_local unsigned handled = FILES_SLOTS;

void files_asks_for(unsigned slot)
{
	handled = slot;
}

static struct files_question *find(struct files_taken *taken, const void *bytes, size_t length)
{
	unsigned i;

	for (i = 0; i < taken->questions; i++)
		if (taken->question[i].length == length &&
		    memcmp(taken->question[i].bytes, bytes, length) == 0)
			return &taken->question[i];
	return NULL;
}

static void forget(struct files_taken *taken)
{
	while (taken->questions > 0)
		free(taken->question[--taken->questions].bytes);
}

/* With the mutex: notes a question, which no decision of another policy outlives. */
static struct files_question *add(struct files_server *server, struct files_taken *taken,
				  uint64_t policy, const void *bytes, size_t length)
{
	struct files_question *question;

	if (taken->policy != policy)
		forget(taken);
	taken->policy = policy;
	if (taken->questions == FILES_QUESTIONS_MAX)
		return NULL;
	question = &taken->question[taken->questions];
	*question = (struct files_question){.bytes = malloc(length), .length = length};
	if (!question->bytes)
		return NULL;
	memcpy(question->bytes, bytes, length);
	question->verdict = POLICY_ASK;
	taken->questions++;
	taken->ticket = ++server->tickets << FILES_TICKET_BITS | handled;
	return question;
}

int files_ask(void *arg, uint64_t policy, const void *bytes, size_t length,
	      enum policy_verdict *verdict)
{
	struct files_server *server = arg;
	struct files_head head = {.type = FILES_ASK};
	struct files_question *question;
	struct files_taken *taken;

	if (handled == FILES_SLOTS)
		return -ENOTSUP;
	taken = &server->taken[handled];
	pthread_mutex_lock(&server->asking);
	question = find(taken, bytes, length);
	if (!question) {
		question = add(server, taken, policy, bytes, length);
		head.value = taken->ticket;
		if (question)
			question->ticket = taken->ticket;
		else
			*verdict = POLICY_DENY;
	}
	if (question)
		*verdict = question->verdict;
	pthread_mutex_unlock(&server->asking);
	if (question && head.value)
		files_server_say(server, &head, bytes, length);
	return question ? 0 : -ENOMEM;
}

void files_decided(struct files_server *server, uint64_t ticket, enum policy_verdict verdict)
{
	unsigned slot = FILES_TICKET_SLOT(ticket), i;
	struct files_taken *taken;

	if (slot >= FILES_SLOTS)
		return;
	taken = &server->taken[slot];
	pthread_mutex_lock(&server->asking);
	for (i = 0; i < taken->questions; i++)
		if (taken->question[i].ticket == ticket)
			taken->question[i].verdict =
				verdict == POLICY_ALLOW ? POLICY_ALLOW : POLICY_DENY;
	if (taken->ticket == ticket)
		taken->ticket = 0;
	pthread_mutex_unlock(&server->asking);
	fuse_session_wake(server->session, slot);
	files_queue_retry(server);
}

bool files_may_go_on(struct files_server *server, unsigned slot)
{
	struct files_taken *taken = &server->taken[slot];
	bool may;

	if (!server->guard)
		return false;
	pthread_mutex_lock(&server->asking);
	may = taken->questions > 0 &&
	      (!taken->ticket || taken->policy != guard_version(server->guard));
	pthread_mutex_unlock(&server->asking);
	return may;
}

void files_ask_anew(struct files_server *server)
{
	unsigned slot;

	for (slot = 0; slot < FILES_SLOTS; slot++)
		if (files_may_go_on(server, slot))
			fuse_session_wake(server->session, slot);
	files_queue_retry(server);
}

void files_asked_end(struct files_server *server, unsigned slot)
{
	struct files_head head = {.type = FILES_WITHDRAWN};
	struct files_taken *taken = &server->taken[slot];

	/* Of this thread alone, but for the socket's, which adds none. */
	if (taken->questions == 0 && !taken->ticket)
		return;
	pthread_mutex_lock(&server->asking);
	head.value = taken->ticket;
	taken->ticket = 0;
	forget(taken);
	pthread_mutex_unlock(&server->asking);
	if (head.value)
		files_server_say(server, &head, NULL, 0);
}
