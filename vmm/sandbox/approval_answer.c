/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/approval_answer.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/text.h"

#define UNDECIDED APPROVAL_UNDECIDED
#define SILENT	  UNDECIDED ": it printed no answer"
#define NOT_JSON  UNDECIDED ": its answer is not one line of JSON"
#define BLANKS	  " \t\r\n"
#define WORD_MAX  32

static void read_word(struct approval_answer *answer, const char *text, size_t length)
{
	char word[WORD_MAX] = "";

	memcpy(word, text, length < WORD_MAX ? length : WORD_MAX - 1);
	word[strcspn(word, BLANKS)] = '\0';
	answer->reply = approval_reply_of(word);
	answer->is_word = answer->reply >= 0;
	if (length > 0)
		answer->why = NOT_JSON;
}

/* Reads the object but for the decision. NULL: that is wrong already. */
static const char *read_object(struct approval_answer *answer, const json_t *object)
{
	const char *word = json_string_value(json_object_get(object, "answer"));
	const json_t *reason = json_object_get(object, "reason");

	if (reason && !json_is_null(reason) && !json_is_string(reason)) {
		answer->why = UNDECIDED ": the reason in its answer is not a string";
		return NULL;
	}
	if (json_string_length(reason) > 0) {
		text_safe(answer->reason, sizeof(answer->reason), json_string_value(reason),
			  json_string_length(reason), 0);
		snprintf(answer->by, sizeof(answer->by), APPROVAL_COMMAND ": %s", answer->reason);
	}
	return word ? word : "";
}

/* Returns the one line of JSON, or NULL. */
static json_t *load(const char *text, size_t length)
{
	return memchr(text, '\n', length) ? NULL
					  : json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
}

/* Sets no decision; *text without blanks at its ends. False: it is too long. */
static bool begin(struct approval_answer *answer, const char **text, size_t *length)
{
	_Static_assert(sizeof(APPROVAL_COMMAND ": ") + APPROVAL_REASON_MAX <= APPROVAL_BY,
		       "a reason fits");
	*answer = (struct approval_answer){.reply = -1, .why = SILENT, .by = APPROVAL_COMMAND};
	if (*length > APPROVAL_ANSWER_MAX) {
		answer->why = UNDECIDED ": its answer is too long";
		return false;
	}
	for (; *length > 0 && memchr(BLANKS, (*text)[0], strlen(BLANKS)); (*length)--)
		(*text)++;
	while (*length > 0 && memchr(BLANKS, (*text)[*length - 1], strlen(BLANKS)))
		(*length)--;
	return true;
}

void approval_answer_read(struct approval_answer *answer, const char *text, size_t length)
{
	const char *word;
	json_t *object;

	if (!begin(answer, &text, &length))
		return;
	if (length == 0 || text[0] != '{') {
		read_word(answer, text, length);
		return;
	}
	object = load(text, length);
	word = object ? read_object(answer, object) : NULL;
	if (!object)
		answer->why = NOT_JSON;
	else if (word && (answer->reply = approval_reply_of(word)) < 0)
		answer->why = UNDECIDED ": its answer is not once, session, always, no or never";
	json_decref(object);
}

void approval_answer_to_proposal(struct approval_answer *answer, const char *text, size_t length)
{
	const char *word;
	json_t *object;

	if (!begin(answer, &text, &length) || length == 0)
		return;
	object = load(text, length);
	word = object ? read_object(answer, object) : NULL;
	if (!object)
		answer->why = NOT_JSON;
	else if (word && strcmp(word, "approve") == 0)
		answer->reply = APPROVAL_ALWAYS;
	else if (word && strcmp(word, "reject") == 0)
		answer->reply = APPROVAL_NO;
	else if (word)
		answer->why = UNDECIDED ": its answer is not approve or reject";
	json_decref(object);
}
