# SPDX-License-Identifier: Apache-2.0
# Included by the Makefile: the revision, reproducible builds, packages.

# Equal source gives equal bytes wherever it is built: paths of this directory become relative. gcc
# takes the directory's name from PWD, which can be another name of CURDIR (a symbolic link).
export PWD := $(CURDIR)
CFLAGS_ALL += -ffile-prefix-map='$(CURDIR)=.'

# The revision changes with each commit: only one object is compiled anew, and one program linked.
$(BUILD)/gen/revision.inc: FORCE
	@mkdir -p $(@D)
	@echo "#define CORDON_REVISION \"$$(scripts/revision.sh)\"" >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(BUILD)/obj/vmm/revision.o: $(BUILD)/gen/revision.inc
$(BUILD)/cordon: $(BUILD)/obj/vmm/revision.o

.PHONY: FORCE check-reproducible
FORCE:

# Builds twice, in different directories, and compares; with KERNEL=yes the guest kernel too.
check-reproducible:
	@tests/packaging/reproducible.sh $(if $(filter yes,$(KERNEL)),--kernel)
