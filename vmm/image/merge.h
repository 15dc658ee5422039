/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads an image's layers in order and hands each checked entry to a sink, which makes the tree:
 * files in a directory, or an erofs image (unpack.h). What holds for any sink is decided here:
 * which names, kinds and numbers of entries are allowed, and what is a whiteout (OCI image layer
 * specification).
 *
 * A whiteout hides files of the layers below, wherever in its own layer it stands. So every layer
 * but the first is read twice: first its whiteouts are handed over, then its other entries.
 *
 * Paths: relative, "" for the root; components are separated by one slash, and none is ".", "..",
 * empty, longer than NAME_MAX or a whiteout. A component may name a symbolic link. The last one
 * then means the link itself; the sink resolves the others with the tree as the root, as the kernel
 * would in a sandbox. Digests are checked at the end of a layer, when its entries have
 * been handed over: after an error the caller discards the tree.
 */
#ifndef CORDON_IMAGE_MERGE_H
#define CORDON_IMAGE_MERGE_H

#include "vmm/image/tar.h"
#include "vmm/image/unpack.h"

/* All return 0, or -errno with a message. Sinks may write to path, and leave it as it was. */
struct merge_sink {
	/*
	 * Removes the file or the directory at path. contents: removes what is in the directory at
	 * path, which may also be "" or lead through a link. 0 also if there is nothing to remove.
	 * path has room for two more bytes.
	 */
	int (*hide)(void *arg, char *path, bool contents, struct err *err);
	/*
	 * Makes an entry, and missing directories on the way to it. What is there already is
	 * replaced, but a directory by a directory only in its attributes. At path "" there are
	 * only directories. target: of a hard link, a path as above and never ""; NULL for other
	 * types. The contents of a TAR_FILE are read from the reader.
	 */
	int (*add)(void *arg, char *path, const struct tar_entry *entry, char *target,
		   struct tar_reader *reader, struct err *err);
	void *arg;
	bool attributes; /* reader->attributes is wanted */
};

/* Adds bytes, entries and owners to *counts. 0; or -errno with a message that names the layer. */
int merge_layers(const struct image_manifest *manifest, const struct image_source *source,
		 const struct merge_sink *sink, const struct image_limits *limits,
		 struct image_counts *counts, struct err *err);

#endif
