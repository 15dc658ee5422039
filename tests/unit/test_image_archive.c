/* SPDX-License-Identifier: Apache-2.0 */
/* Archives from pipes, compressed as a whole, of root file systems alone, and with duplicates. */
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/image_cache_common.h"
#include "vmm/base/fd.h"
#include "vmm/base/signals.h"
#include "vmm/image/stage.h"

#define ENTRIES(...) ((const struct forged_entry[]){__VA_ARGS__, {.type = 0}})

static struct forged_layer stream;
static char path[128];

/* Writes an archive with these entries; what building an image of it returns. */
static int build(const struct forged_entry *entries, enum compression kind)
{
	forged_layer(&stream, entries);
	if (kind != COMPRESSION_NONE)
		forged_compress(&stream, kind);
	forged_write(&image, "archive", stream.bytes, stream.length);
	snprintf(path, sizeof(path), "%s/src/archive", image.base);
	err.text[0] = '\0';
	return image_build(path, NULL, NULL, &id, &err);
}

/* --- root file systems ------------------------------------------------------------------------ */

START_TEST(a_root_file_system_is_an_image)
{
	const struct forged_entry *plain =
		ENTRIES({'5', "./", ""}, {'5', "./etc/", ""}, {'0', "./etc/x", "1"});
	struct digest first;
	struct image used;

	begin("x");
	ck_assert_msg(build(plain, COMPRESSION_NONE) == 1, "%s", err.text);
	first = id;
	ck_assert_int_eq(image_open(&used, &id, &err), 0);
	ck_assert_uint_eq(json_array_size(json_object_get(used.settings, "env")), 0);
	ck_assert_str_eq(json_string_value(json_object_get(used.settings, "user")), "");
	image_close(&used);
	/* The same bytes are the same image, however they are compressed. */
	ck_assert_msg(build(plain, COMPRESSION_GZIP) == 0, "%s", err.text);
	ck_assert(digest_equal(&id, &first));
	ck_assert_msg(build(plain, COMPRESSION_ZSTD) == 0, "%s", err.text);
	ck_assert(digest_equal(&id, &first));
	ck_assert_int_eq(image_build(path, "name", NULL, &id, &err), -ENOENT);
	forged_destroy(&image);
}
END_TEST

START_TEST(what_is_no_root_file_system_is_refused)
{
	static const struct {
		struct forged_entry entry[3];
		int ret;
	} cases[] = {
		{{{'0', "etc/x", ""}}, 1},
		{{{'2', "bin", "usr/bin"}}, 1},
		{{{'0', ".dockerenv", ""}}, 1},
		{{{'0', ".dockerenv", ""}, {'0', "manifest.json", "[]"}}, 1}, /* the program's */
		{{{'0', "etc", "a file"}}, -ENOENT},
		{{{'0', "etcetera/x", ""}}, -ENOENT},
		{{{'0', "x", ""}}, -ENOENT},
		{{{'0', "etc/x", ""}, {'0', "manifest.json", "[]"}}, -EINVAL},
		{{{'0', "etc/x", ""}, {'0', "index.json", "{}"}}, -ENOENT},
		{{{'0', "etc/../../x", ""}}, -EPROTO},
	};
	size_t i;

	begin("x");
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ck_assert_msg(build(cases[i].entry, COMPRESSION_NONE) == cases[i].ret,
			      "case %zu: %s", i, err.text);
		ck_assert(cases[i].ret > 0 || err.text[0]);
	}
	ck_assert_uint_eq(count(".new") + count(".stage"), 0);
	forged_destroy(&image);
}
END_TEST

static void add_program(char *text, uint16_t machine)
{
	Elf64_Ehdr header = {.e_type = ET_DYN, .e_machine = machine};

	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	if (machine == EM_S390) {
		header.e_ident[EI_DATA] = ELFDATA2MSB;
		header.e_type = htobe16(header.e_type);
		header.e_machine = htobe16(header.e_machine);
	}
	memcpy(text, &header, sizeof(header));
}

/* Writes a root file system with such programs; what building returns. */
static int build_programs(uint16_t one, uint16_t other)
{
	char text[65];
	size_t i, found = 0;

	memset(text, 'p', sizeof(text));
	text[64] = '\0';
	forged_layer(&stream, ENTRIES({'0', "bin/a", text}, {'0', "bin/b", text}));
	/* Contents with NULs, which forged entries cannot have. */
	for (i = 0; i + 64 <= stream.length; i += 512)
		if (memcmp(stream.bytes + i, text, 64) == 0)
			add_program((char *)stream.bytes + i, found++ ? other : one);
	ck_assert_uint_eq(found, 2);
	forged_write(&image, "archive", stream.bytes, stream.length);
	snprintf(path, sizeof(path), "%s/src/archive", image.base);
	return image_build(path, NULL, NULL, &id, &err);
}

START_TEST(programs_for_other_processors_are_refused)
{
	begin("x");
	ck_assert_int_eq(build_programs(EM_AARCH64, EM_AARCH64), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "linux/arm64: only linux/amd64"));
	ck_assert_int_eq(build_programs(EM_386, EM_BPF), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "linux/386"));
	ck_assert_int_eq(build_programs(EM_S390, EM_S390), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "linux/s390x"));
	/* Tools may have programs of other processors, too. */
	ck_assert_int_eq(build_programs(EM_AARCH64, EM_X86_64), 1);
	ck_assert_int_eq(build_programs(EM_X86_64, EM_AARCH64), 1);
	ck_assert_int_eq(build_programs(EM_S390, EM_X86_64), 1);
	forged_destroy(&image);
}
END_TEST

/* An archive of an image has fewer files, and no sparse ones; a root file system may. */
START_TEST(root_file_systems_have_more_files)
{
	char command[600];

	begin("x");
	snprintf(
		command, sizeof(command),
		"cd %s && mkdir t t/etc && cd t/etc && seq %d | xargs touch && "
		"truncate -s 1M hole && echo x >>hole && cd ../.. && tar -S -cf src/archive -C t .",
		image.base, IMAGE_SOURCE_FILES_MAX);
	ck_assert_int_eq(system(command), 0);
	snprintf(path, sizeof(path), "%s/src/archive", image.base);
	ck_assert_msg(image_build(path, NULL, NULL, &id, &err) == 1, "%s", err.text);
	snprintf(command, sizeof(command), "cd %s && mv t/etc t/no && tar -cf src/archive -C t .",
		 image.base);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(image_build(path, NULL, NULL, &id, &err), -E2BIG);
	forged_destroy(&image);
}
END_TEST

/* --- names ------------------------------------------------------------------------------------ */

/* An archive of `docker save` with one layer, and with an older manifest.json before its own. */
static int build_tagged(const char *tags, const char *contents, const char *tag)
{
	char config[512], manifest[512], name[DIGEST_HEX + 8];
	static struct forged_layer layer;
	struct digest digest;

	forged_layer(&layer, ENTRIES({'0', "x", contents}));
	digest_of(&digest, layer.bytes, layer.length);
	forged_write(&image, "layer", layer.bytes, layer.length);
	snprintf(config, sizeof(config),
		 "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[\"sha256:"
		 "%s\"]}}",
		 digest.hex);
	digest_of(&digest, config, strlen(config));
	snprintf(name, sizeof(name), "%s.json", digest.hex);
	snprintf(manifest, sizeof(manifest),
		 "[{\"Config\":\"%s\",\"RepoTags\":%s,\"Layers\":[\"layer\"]}]", name, tags);
	forged_write(&image, name, config, strlen(config));
	forged_write(&image, "manifest.json", manifest, strlen(manifest));
	snprintf(path, sizeof(path), "%s/src", image.base);
	return image_build(path, NULL, tag, &id, &err);
}

START_TEST(an_image_gets_the_names_of_its_archive)
{
	static const char *const none[] = {"null", "[]", "{}", "[1,null,\"\"]", "7"};
	struct digest first, one;
	size_t i;

	begin("x");
	ck_assert_msg(build_tagged("[\"a/b:1\",\"c:latest\",\"host\",\"../x\",7]", "1", "") == 1,
		      "%s", err.text);
	first = id;
	ck_assert(named("a/b:1") && named("c:latest") && named("c") && !named("a/b") &&
		  !named("a/b:latest"));
	/* None of them takes a name away from another image; --tag does. */
	ck_assert_msg(build_tagged("[\"c:latest\",\"d:latest\"]", "2", "") == 1, "%s", err.text);
	ck_assert(named("d") && !named("c"));
	ck_assert_msg(build_tagged("[\"e\"]", "2", "c:latest") == 0, "%s", err.text);
	ck_assert(named("c") && !named("e"));
	ck_assert_int_eq(build_tagged("[\"e\"]", "2", NULL), 0);
	ck_assert(!named("e"));
	for (i = 0; i < ARRAY_SIZE(none); i++)
		ck_assert_msg(build_tagged(none[i], "2", "") == 0, "%s: %s", none[i], err.text);
	/* A name without a tag means :latest, and is removed as such. */
	ck_assert_msg(image_remove("d", &err) == 0, "%s", err.text);
	ck_assert_int_eq(image_find("d:latest", &one, &err), -ENOENT);
	ck_assert_int_eq(build_tagged("[]", "1", "plain"), 0);
	ck_assert(digest_equal(&id, &first) && named("plain:latest") && !named("plain:1"));
	forged_destroy(&image);
}
END_TEST

/* NAME and NAME:latest are one name, and a digest's first digits are a name, too. */
START_TEST(an_archive_hides_no_other_image)
{
	struct digest first, second;
	char hides[128], harmless[128];

	begin("x");
	ck_assert_int_eq(build_tagged("[]", "1", "alpine:latest"), 1);
	ck_assert_int_eq(build_tagged("[]", "1", "tool"), 0);
	first = id;
	snprintf(hides, sizeof(hides), "[\"%.12s\",\"%.8s:latest\",\"f:1\"]", first.hex, first.hex);
	snprintf(harmless, sizeof(harmless), "[\"%.7s\",\"%.12s:1\",\"x%.12s\"]", first.hex,
		 first.hex, first.hex);
	ck_assert_int_eq(build_tagged("[\"alpine\",\"tool:latest\",\"alpine:3\"]", "2", ""), 1);
	second = id;
	ck_assert(named("alpine:3") && !named("alpine") && !named("tool:latest"));
	ck_assert_int_eq(build_tagged(hides, "2", ""), 0);
	ck_assert(named("f:1"));
	snprintf(hides, sizeof(hides), "%.12s", first.hex);
	ck_assert(!named(hides));
	hides[8] = '\0';
	ck_assert(!named(hides));
	ck_assert_int_eq(build_tagged(harmless, "2", ""), 0);
	snprintf(hides, sizeof(hides), "x%.12s", first.hex);
	ck_assert(named(hides));
	id = first;
	ck_assert(named("alpine") && named("alpine:latest") && named("tool:latest"));
	/* --tag may, and an image has both of its names. */
	ck_assert_int_eq(build_tagged("[]", "2", "alpine"), 0);
	ck_assert(named("alpine") && digest_equal(&id, &second) && !named("alpine:latest"));
	ck_assert_int_eq(build_tagged("[\"tool:latest\",\"tool\"]", "1", ""), 0);
	ck_assert(named("tool") && named("tool:latest"));
	forged_destroy(&image);
}
END_TEST

/* As tar itself has it, the last member of a name counts; in a layer, too. */
START_TEST(the_last_of_equal_members_counts)
{
	struct digest first;
	char command[400];

	begin("x");
	ck_assert_int_eq(build_tagged("[]", "old", NULL), 1);
	snprintf(command, sizeof(command), "cd %s/src && tar -cf ../a.tar *", image.base);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(build_tagged("[]", "new", NULL), 1);
	first = id;
	snprintf(command, sizeof(command), "cd %s/src && tar -rf ../a.tar *", image.base);
	ck_assert_int_eq(system(command), 0);
	snprintf(path, sizeof(path), "%s/a.tar", image.base);
	ck_assert_msg(image_build(path, NULL, NULL, &id, &err) == 0, "%s", err.text);
	ck_assert(digest_equal(&id, &first));
	ck_assert_msg(build(ENTRIES({'0', "etc/x", "1"}, {'0', "etc/x", "22"}, {'5', "etc/y", ""},
				    {'0', "etc/y", ""}),
			    COMPRESSION_NONE) == 1,
		      "%s", err.text);
	forged_destroy(&image);
}
END_TEST

/* --- copies ----------------------------------------------------------------------------------- */

/* Passes bytes through a pipe that does not block. What image_stage() returns, as a length. */
static ssize_t stage(const void *bytes, size_t length)
{
	struct stat status = {.st_size = 0};
	int pipe_fd[2], fd;
	pid_t pid;

	ck_assert_int_eq(pipe2(pipe_fd, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		close(pipe_fd[0]);
		fd_write_full(pipe_fd[1], bytes, length);
		_exit(0);
	}
	close(pipe_fd[1]);
	fd_set_nonblock(pipe_fd[0]);
	err.text[0] = '\0';
	fd = image_stage(pipe_fd[0], "stream", &err);
	close(pipe_fd[0]);
	waitpid(pid, NULL, 0);
	ck_assert(fd >= 0 || err.text[0]);
	if (fd < 0)
		return fd;
	ck_assert_int_eq(fstat(fd, &status), 0);
	ck_assert_uint_eq(status.st_nlink, 0);
	close(fd);
	return status.st_size;
}

START_TEST(streams_are_copied_whole_or_not_at_all)
{
	static uint8_t twice[2 * FORGED_LAYER_MAX];
	size_t kind, whole, i;

	begin("x");
	for (kind = COMPRESSION_NONE; kind <= COMPRESSION_ZSTD; kind++) {
		forged_layer(&stream, ENTRIES({'0', "x", "contents"}));
		whole = stream.length;
		if (kind != COMPRESSION_NONE)
			forged_compress(&stream, (enum compression)kind);
		ck_assert_int_eq(stage(stream.bytes, stream.length), (ssize_t)whole);
		memcpy(twice, stream.bytes, stream.length);
		memcpy(twice + stream.length, stream.bytes, stream.length);
		ck_assert_int_eq(stage(twice, 2 * stream.length), (ssize_t)whole * 2);
		for (i = COMPRESSION_MAGIC; kind != COMPRESSION_NONE && i < stream.length; i += 7)
			ck_assert_int_lt(stage(stream.bytes, i), 0);
		stream.bytes[stream.length - 5] ^= 0xff; /* of gzip's length */
		ck_assert(kind != COMPRESSION_GZIP || stage(stream.bytes, stream.length) < 0);
	}
	ck_assert_int_eq(stage("", 0), 0);
	ck_assert_int_eq(stage("\x1f\x8b", 2), -EPROTO);
	ck_assert_int_eq(stage("\xfd"
			       "7zXZ",
			       5),
			 -ENOTSUP);
	ck_assert_uint_eq(count(".stage"), 0);
	forged_destroy(&image);
}
END_TEST

START_TEST(bombs_are_refused)
{
	char command[200];
	int kind, fd;

	begin("x");
	for (kind = 0; kind < 3; kind++) {
		static const char *const pack[] = {"gzip -9", "zstd -q -3", "cat"};

		snprintf(command, sizeof(command), "head -c 64M /dev/zero | %s >%s/src/bomb",
			 pack[kind], image.base);
		ck_assert_int_eq(system(command), 0);
		fd = openat(image.src_fd, "bomb", O_RDONLY | O_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(image_stage(fd, "bomb", &err) < 0, kind < 2);
		ck_assert(kind == 2 || strstr(err.text, "128 times"));
		close(fd);
	}
	forged_destroy(&image);
}
END_TEST

/* A signal ends the work, and then the process, when nothing is left of it. */
START_TEST(a_signal_waits_until_all_is_removed)
{
	int pipe_fd[2], status, number;
	pid_t pid;

	unit_default_signals(); /* in place of those of check */
	begin("x");
	ck_assert_int_eq(build(ENTRIES({'0', "etc/x", "1"}), COMPRESSION_NONE), 1);
	ck_assert_int_eq(pipe2(pipe_fd, O_CLOEXEC), 0);
	for (number = SIGINT; number; number = number == SIGINT ? SIGTERM : 0) {
		pid = fork();
		if (pid == 0) {
			dup2(pipe_fd[0], STDIN_FILENO);
			image_build("-", NULL, NULL, &id, &err);
			_exit(1);
		}
		usleep(200000); /* later or sooner, it ends */
		kill(pid, number);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == number);
		ck_assert_uint_eq(count(".new") + count(".stage"), 0);
	}
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	/* While it is held, the process goes on. */
	signals_hold();
	raise(SIGTERM);
	ck_assert(signals_arrived());
	ck_assert_int_eq(image_stage(STDIN_FILENO, "x", &err), -EINTR);
	pid = fork();
	if (pid == 0) {
		signals_release();
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	forged_destroy(&image);
}
END_TEST

UNIT_MAIN("image archive", a_root_file_system_is_an_image, what_is_no_root_file_system_is_refused,
	  programs_for_other_processors_are_refused, root_file_systems_have_more_files,
	  an_image_gets_the_names_of_its_archive, an_archive_hides_no_other_image,
	  the_last_of_equal_members_counts, streams_are_copied_whole_or_not_at_all,
	  bombs_are_refused, a_signal_waits_until_all_is_removed)
