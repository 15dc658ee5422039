/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/approval_answer.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/text.h"

#define UNDECIDED "the command of --on-ask made no decision"
#define BLANKS	  " \t\r\n"
#define WORD_MAX  32

static void read_word(struct approval_answer *answer, const char *text, size_t length)
{
	char word[WORD_MAX] = "";

	memcpy(word, text, length < WORD_MAX ? length : WORD_MAX - 1);
	word[strcspn(word, BLANKS)] = '\0';
	answer->reply = approval_reply_of(word);
	answer->is_word = answer->reply >= 0;
}

static void read_object(struct approval_answer *answer, const json_t *object)
{
	const char *word = json_string_value(json_object_get(object, "answer"));
	const json_t *reason = json_object_get(object, "reason");
	size_t used = strlen(answer->by), size = sizeof(answer->by) - used;

	if (reason && !json_is_null(reason) && !json_is_string(reason)) {
		answer->why = UNDECIDED ": the reason in its answer is not a string";
		return;
	}
	answer->reply = word ? approval_reply_of(word) : -1;
	if (answer->reply < 0)
		answer->why = UNDECIDED ": its answer is not once, session, always, no or never";
	if (json_string_length(reason) == 0)
		return;
	used += (size_t)snprintf(answer->by + used, size, ": ");
	text_safe(answer->by + used, APPROVAL_REASON_MAX + 1, json_string_value(reason),
		  json_string_length(reason), 0);
}

void approval_answer_read(struct approval_answer *answer, const char *text, size_t length)
{
	json_t *object;

	_Static_assert(sizeof("by the command of --on-ask: ") + APPROVAL_REASON_MAX <= APPROVAL_BY,
		       "a reason fits");
	*answer = (struct approval_answer){
		.reply = -1, .why = UNDECIDED, .by = "by the command of --on-ask"};
	if (length > APPROVAL_ANSWER_MAX) {
		answer->why = UNDECIDED ": its answer is too long";
		return;
	}
	for (; length > 0 && memchr(BLANKS, text[0], strlen(BLANKS)); length--)
		text++;
	while (length > 0 && memchr(BLANKS, text[length - 1], strlen(BLANKS)))
		length--;
	if (length == 0 || text[0] != '{') {
		read_word(answer, text, length);
		return;
	}
	object = memchr(text, '\n', length)
			 ? NULL
			 : json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	if (object)
		read_object(answer, object);
	else
		answer->why = UNDECIDED ": its answer is not one line of JSON";
	json_decref(object);
}
