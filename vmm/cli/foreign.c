/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/foreign.h"

#include <stddef.h>
#include <string.h>

#include "vmm/base/bytes.h"

#define ALIAS_WORDS 3

static const struct {
	const char *verb, *words[ALIAS_WORDS + 1];
} aliases[] = {
	{"port", {"ports"}},	       {"unpause", {"resume"}},
	{"inspect", {"ps", "--json"}}, {"events", {"audit", "--follow"}},
	{"images", {"image", "ls"}},   {"rmi", {"image", "rm"}},
};

static const struct {
	const char *verb, *advice;
} verbs_elsewhere[] = {
	{"build", "'cordon image build ARCHIVE' unpacks what 'docker save' or buildah wrote"},
	{"commit", "'cordon snapshot NAME FILE' saves a sandbox, memory included"},
	{"buildx", "'cordon image build ARCHIVE' unpacks what 'docker save' or buildah wrote"},
	{"compose", "each sandbox is one 'cordon start'"},
	{"container", "leave the word out: 'cordon ps', 'cordon stop NAME' and so on"},
	{"context", "there is no daemon: each sandbox is a process on this host"},
	{"create", "'cordon start NAME' boots a sandbox that stays"},
	{"delete", "'cordon rm NAME' removes the record of a sandbox that has ended"},
	{"diff", "what a sandbox writes is in its shares: git shows the changes"},
	{"down", "'cordon stop --all' stops all sandboxes"},
	{"enter", "'cordon attach NAME' is a prompt in a sandbox"},
	{"export", "'cordon cp NAME:/ -' writes the files of a sandbox as a tar stream"},
	{"history", "'cordon image ls' lists the images of this host"},
	{"import", "'cordon image build ARCHIVE' unpacks an image, or a root file system"},
	{"info", "'cordon doctor' checks this host"},
	{"list", "'cordon ps' lists the sandboxes"},
	{"load",
	 "'cordon image build ARCHIVE' unpacks an image, 'cordon image build -' standard input"},
	{"login", "there is no registry, and so no login"},
	{"logout", "there is no registry, and so no login"},
	{"ls", "'cordon ps' lists the sandboxes"},
	{"machine", "no machine is set up before: 'cordon run' and 'cordon start' boot one"},
	{"network", "the policy's 'net' rules are the network: cordon-policy(5)"},
	{"pod", "each sandbox is one 'cordon start'"},
	{"pull", "there is no registry: 'cordon image build ARCHIVE' unpacks an image"},
	{"push", "there is no registry: 'cordon image' has the images of this host"},
	{"remove", "'cordon rm NAME' removes the record of a sandbox that has ended"},
	{"rename", "a sandbox keeps the name that it was started with"},
	{"restart", "'cordon stop NAME', then 'cordon start'"},
	{"save", "'cordon snapshot NAME FILE' saves a sandbox, memory included"},
	{"search", "there is no registry: 'cordon image ls' lists the images of this host"},
	{"sh", "'cordon attach NAME' is a prompt in a sandbox"},
	{"shell", "'cordon attach NAME' is a prompt in a sandbox"},
	{"ssh", "'cordon attach NAME' is a prompt in a sandbox"},
	{"system", "'cordon prune' removes records, 'cordon image rm' an image, 'cordon template "
		   "prune' booted guests; 'cordon doctor' checks this host"},
	{"tag", "'cordon image build --tag NAME ARCHIVE' names an image"},
	{"update", "'cordon limit NAME memory=SIZE' changes the memory of a sandbox"},
	{"up", "'cordon start NAME' boots a sandbox that stays"},
	{"volume", "'--share HOST:GUEST' gives a directory of the host"},
};

/* Images that many first commands name, and that are not names of programs in a sandbox. */
static const char *const images[] = {
	"almalinux",   "alpine",   "amazonlinux", "archlinux",	"centos",
	"debian",      "fedora",   "hello-world", "nginx",	"opensuse",
	"oraclelinux", "postgres", "redis",	  "rockylinux", "ubuntu",
};

static const struct {
	const char *subverb, *advice;
} image_elsewhere[] = {
	{"inspect", "'cordon image ls --json' shows what is known of each"},
	{"list", "'cordon image ls' lists the images"},
	{"prune", "'cordon image rm NAME' removes an image"},
	{"remove", "'cordon image rm NAME' removes an image"},
};

const char *const *foreign_alias(const char *verb)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(aliases); i++)
		if (strcmp(aliases[i].verb, verb) == 0)
			return aliases[i].words;
	return NULL;
}

const char *foreign_verb(const char *verb)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(verbs_elsewhere); i++)
		if (strcmp(verbs_elsewhere[i].verb, verb) == 0)
			return verbs_elsewhere[i].advice;
	return NULL;
}

const char *foreign_subverb(const char *verb, const char *subverb)
{
	size_t i;

	if (strcmp(verb, "image") != 0)
		return NULL;
	for (i = 0; i < ARRAY_SIZE(image_elsewhere); i++)
		if (strcmp(image_elsewhere[i].subverb, subverb) == 0)
			return image_elsewhere[i].advice;
	return foreign_verb(subverb);
}

bool foreign_image(const char *word)
{
	const char *slash = strchr(word, '/'), *colon = strrchr(word, ':');
	size_t i;

	if (word[0] == '/' || word[0] == '.')
		return false;
	for (i = 0; i < ARRAY_SIZE(images); i++)
		if (strcmp(word, images[i]) == 0)
			return true;
	/* name:tag, or registry.example/name */
	if (colon && colon > word && colon[1] && !strchr(colon, '/'))
		return true;
	return slash && memchr(word, '.', (size_t)(slash - word));
}
