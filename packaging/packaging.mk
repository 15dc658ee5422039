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

# A Debian package of what `make install` installs, with the sources that the GPL asks for.
.PHONY: deb check-deb
deb:
	@$(if $(filter no,$(DEPS)),:,scripts/deps.sh deb)
	@$(MAKE) --no-print-directory all
	@rm -rf $(BUILD)/deb
	@$(MAKE) -s --no-print-directory install DESTDIR=$(BUILD)/deb/root PREFIX=/usr
	@packaging/deb.sh $(BUILD) $(VERSION)

# Lints the package, installs it into a new Debian 12, runs a sandbox there, and removes it. Needs root.
check-deb: deb
	@tests/packaging/deb.sh $(BUILD)/cordon_$(VERSION)_amd64.deb
