# SPDX-License-Identifier: BSD-2-Clause
# `make help` lists the targets. mk/version.mk holds the version, mk/toolchain.mk compilers and flags.

SAN ?= 0
BUILD ?= $(if $(filter 1,$(SAN)),build-san,build)
PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/svr
DATADIR ?= $(PREFIX)/share/svr
UNITDIR ?= $(PREFIX)/lib/systemd/system
COMPDIR ?= $(PREFIX)/share/bash-completion/completions

include mk/version.mk
include mk/toolchain.mk

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
# ... unless the user chose
jobs = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

# ---- what is built ---------------------------------------------------------------------------
# $(wildcard): a new file is picked up without a change here, and a directory may still be empty.
objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $(1)/*.c))

bpf_srcs := $(wildcard bpf/*.bpf.c)
bpf_objs := $(bpf_srcs:%.bpf.c=$(BUILD)/%.bpf.o)
bench_bpf := $(patsubst %.bpf.c,$(BUILD)/%.bpf.o,$(wildcard bench/*.bpf.c))
bench_skels := $(bench_bpf:$(BUILD)/bench/%.bpf.o=$(BUILD)/skel/%.skel.h)
skels := $(bpf_srcs:bpf/%.bpf.c=$(BUILD)/skel/%.skel.h)

lib_objs := $(call objs,lib)
sys_objs := $(call objs,sys)
loader_objs := $(call objs,loader)
worker_objs := $(call objs,worker)
keymgr_objs := $(call objs,keymgr)
unit_objs := $(call objs,tests/unit)
prog_objs := $(call objs,tests/prog)
peers_objs := $(call objs,tests/peers)
bench_objs := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out %.bpf.c,$(wildcard bench/*.c)))
fastpath_objs := $(call objs,bench/fastpath)
all_objs := $(lib_objs) $(sys_objs) $(loader_objs) $(worker_objs) $(keymgr_objs) \
	    $(unit_objs) $(prog_objs) $(peers_objs) $(bench_objs) $(fastpath_objs) $(helper_objs)

libs := $(if $(sys_objs),$(BUILD)/libsvrsys.a) $(if $(lib_objs),$(BUILD)/libsvr.a)
programs := $(if $(loader_objs),$(BUILD)/svr) $(if $(worker_objs),$(BUILD)/svr-worker) \
	    $(if $(keymgr_objs),$(BUILD)/svr-keymgr)
# Programs that only the selftests run
helper_objs := $(call objs,selftests)
helpers := $(helper_objs:$(BUILD)/obj/%.o=$(BUILD)/%)
benches := $(bench_objs:$(BUILD)/obj/%.o=$(BUILD)/%) $(BUILD)/bench/fastpath

.PHONY: all help deps demo bench fuzz install clean format tests bpf
.PHONY: helpers soak soak-keys soak-sessions soak-certificates check check-unit check-prog check-peers check-net check-san
.PHONY: model check-kernels check-trixie check-kills check-schedules check-mutations check-threads check-backends

all: $(bpf_objs) $(skels) $(libs) $(programs) ## build the programs (SAN=1: with sanitizers, into build-san/)
helpers: $(helpers) ## build what only the selftests run
bpf: $(bpf_objs) $(skels) ## build the BPF programs only
tests: $(addprefix $(BUILD)/tests/,unit prog peers) ## build the test programs only

# A clear word instead of a hundred missing headers. Goals that install packages first, or that
# compile nothing, must not stop here: they make again once the packages are there.
no_compiler_goals := help deps demo clean format check check-%
ifneq ($(filter-out $(no_compiler_goals),$(or $(MAKECMDGOALS),all)),)
missing := $(shell $(PKG_CONFIG) --print-errors --exists $(PKGS) 2>&1 || echo missing)
ifneq ($(missing),)
$(error packages are missing, try: make deps)
endif
endif

# ---- BPF -------------------------------------------------------------------------------------
$(bpf_objs) $(bench_bpf): $(BUILD)/%.bpf.o: %.bpf.c
	@mkdir -p $(@D)
	$(call say,CLANG,$@)
	$(Q)$(CLANG) $(BPF_CFLAGS_ALL) -MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $@.tmp
	$(Q)$(LLVM_STRIP) -g $@.tmp && mv $@.tmp $@

$(skels): $(BUILD)/skel/%.skel.h: $(BUILD)/bpf/%.bpf.o
$(bench_skels): $(BUILD)/skel/%.skel.h: $(BUILD)/bench/%.bpf.o
$(skels) $(bench_skels):
	@mkdir -p $(@D)
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(basename $(basename $(@F))) >$@.tmp && mv $@.tmp $@

# ---- user space ------------------------------------------------------------------------------
# Order-only: the skeletons must exist before the first compilation; .d files know who uses them.
$(BUILD)/obj/%.o: %.c | $(skels)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(extra_cflags) -MMD -MP -c $< -o $@

# Both libraries need no BPF programs
$(lib_objs) $(sys_objs): $(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

$(unit_objs) $(prog_objs) $(peers_objs): extra_cflags = $(test_cflags)
$(bench_objs) $(fastpath_objs): | $(bench_skels)

$(BUILD)/libsvr.a: $(lib_objs)
$(BUILD)/libsvrsys.a: $(sys_objs)
# Removed first: "ar r" would keep the objects of deleted sources
$(BUILD)/lib%.a:
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

link = $(CC) $(LDFLAGS_ALL) $(filter %.o,$^) $(filter %.a,$^) $(1) $(pkg_libs) -o $@

$(BUILD)/svr: $(loader_objs) $(libs)
$(BUILD)/svr-worker: $(worker_objs) $(libs)
$(BUILD)/svr-keymgr: $(keymgr_objs) $(libs)
$(programs):
	$(call say,LD,$@)
	$(Q)$(call link)

$(BUILD)/tests/unit: $(unit_objs) $(libs)
$(BUILD)/tests/prog: $(prog_objs) $(libs)
$(BUILD)/tests/peers: $(peers_objs) $(libs)
$(BUILD)/tests/%:
	@mkdir -p $(@D)
	$(if $(filter %.o,$^),,$(error tests/$*/ has no sources))
	$(call say,LD,$@)
	$(Q)$(call link,$(test_libs))

$(helpers): $(BUILD)/%: $(BUILD)/obj/%.o $(libs)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(call link)

$(BUILD)/bench/fastpath: $(fastpath_objs) $(libs)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(call link)

$(BUILD)/bench/%: $(BUILD)/obj/bench/%.o $(libs)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(call link)

# ---- using it --------------------------------------------------------------------------------
deps: ## install the Debian packages of scripts/packages.list
	@scripts/deps

have_deps = scripts/deps --check || scripts/deps

demo: ## two routers, two hosts, real traffic through three policies: build and watch it
	@$(have_deps)
	@$(MAKE) --no-print-directory $(jobs) all
	@BUILD=$(BUILD) selftests/demo.sh

check: ## every test layer; the last line is "N passed, N failed, N skipped"
	@$(have_deps)
	@SAN=$(SAN) BUILD=$(BUILD) MAKE="$(MAKE)" tests/run unit prog peers net san

SOAK_SEC ?= 600
soak: ## keys that rotate all the time, on a bad WAN, for SOAK_SEC seconds (root)
	@$(have_deps)
	@$(MAKE) --no-print-directory $(jobs) all helpers
	@BUILD=$(BUILD) ROTATION_SEC=$(SOAK_SEC) selftests/test_rotation.sh

soak-keys: ## MANY_SESSIONS (50,000) encrypted sessions at a time, each with keys of its own that change (root)
	@$(have_deps)
	@$(MAKE) --no-print-directory $(jobs) all helpers
	@BUILD=$(BUILD) MANY_SESSIONS=$(or $(MANY_SESSIONS),50000) selftests/test_many_keys.sh

soak-sessions: ## 20,000 TCP connections at 2,000 new ones per second for 5 minutes (SOAK_RATE, SOAK_KEEP, SOAK_SECONDS)
	@$(have_deps)
	@$(MAKE) --no-print-directory $(jobs) all helpers
	@BUILD=$(BUILD) SOAK_PACE=1 SOAK_RATE=$(or $(SOAK_RATE),2000) SOAK_KEEP=$(or $(SOAK_KEEP),20000) \
		SOAK_SECONDS=$(or $(SOAK_SECONDS),300) selftests/test_sessions.sh test_many_connections

soak-certificates: ## the key manager killed KILLS times while certificates and lists change (root)
	@$(have_deps)
	@$(MAKE) --no-print-directory $(jobs) all
	@BUILD=$(BUILD) KILLS=$(or $(KILLS),200) selftests/test_certificates.sh test_private_key test_request test_import \
		test_killed_at_random

soak-wan: ## encrypted sessions on a WAN that loses, doubles and reorders, for WAN_SEC seconds (600) (root)
soak-kills: ## encrypted sessions while workers are killed every KILL_EVERY (10) of KILL_SEC seconds (300) (root)
soak-secure: ## what routers hold does not grow, for SOAK_SEC seconds (1800) (root)
.PHONY: soak-wan soak-kills soak-secure
soak-wan soak-kills soak-secure:
	@$(have_deps)
	@$(MAKE) --no-print-directory $(jobs) all helpers
	@BUILD=$(BUILD) WAN_SEC=$(or $(WAN_SEC),600) KILL_SEC=$(or $(KILL_SEC),300) KILL_EVERY=$(or $(KILL_EVERY),10) \
		GAP_MS=$(or $(GAP_MS),1000) SOAK_SEC=$(if $(filter command% env%,$(origin SOAK_SEC)),$(SOAK_SEC),1800) selftests/test_endurance.sh \
		$(patsubst soak-%,test_%,$(subst wan,bad_wan,$(subst secure,soak,$(subst kills,killed_workers,$@))))

check-unit: ## unit tests (criterion), licences of the sources, a test for each drop reason
check-prog: ## BPF programs with BPF_PROG_TEST_RUN (root)
check-peers: ## two peers in one process: lost, doubled and crossing messages
check-net: ## veth end-to-end selftests (root)
check-san: ## unit, peers and net again with address and undefined behaviour sanitizers
check-unit check-prog check-peers check-net check-san:
	@$(have_deps)
	@SAN=$(SAN) BUILD=$(BUILD) MAKE="$(MAKE)" tests/run $(@:check-%=%)

check-kernels: ## Debian's 6.1 and 6.12 under qemu: BPF tables of three clangs, loader, short end-to-end (long, root)
	@scripts/deps --check kernels || scripts/deps kernels
	@BUILD=$(BUILD) MAKE="$(MAKE)" scripts/check-kernels

# What is promised to newcomers about time is for scripts/fresh-check by itself, on a machine with nothing else to do
check-trixie: ## everything in a fresh Debian 13 root (long, root); DIR and TESTS as in scripts/fresh-check
	@scripts/deps --check kernels || scripts/deps kernels
	@PATIENCE=$${PATIENCE:-4} SVR_TEST_TIMEOUT=$${SVR_TEST_TIMEOUT:-1800} scripts/fresh-check trixie demo check

check-backends: $(BUILD)/tests/unit ## both crypto backends make the same bytes of BACKENDS_PACKETS random packets (a million)
	BACKENDS_PACKETS=$${BACKENDS_PACKETS:-1000000} $< --filter 'backends/*'

KILLS ?= 200
check-kills: all ## kill the key manager KILLS times while alarms come and go (root)
	@KILLS=$(KILLS) selftests/test_alarms.sh test_killed_at_random

check-schedules: $(BUILD)/tests/peers ## more than 100,000 random histories of two peers (PEERS_SCHEDULES: in each of four tests)
	PEERS_SCHEDULES=$${PEERS_SCHEDULES:-26000} $< --filter 'schedules/*'

check-mutations: ## a million changed BFD packets and key messages, with sanitizers (PEERS_MUTATIONS)
	@$(MAKE) --no-print-directory $(jobs) SAN=1 tests
	PEERS_MUTATIONS=$${PEERS_MUTATIONS:-1000000} build-san/tests/peers --filter 'mutations/*'

check-threads: ## what data threads share, with ThreadSanitizer
	@mkdir -p $(BUILD)/tests
	$(Q)$(CC) $(CPPFLAGS_ALL) -std=gnu11 -O1 -g $(WARN) -pthread -fsanitize=thread \
		tests/unit/test_worker_slots.c lib/replay.c -o $(BUILD)/tests/threads
	@$(BUILD)/tests/threads

model: ## every state of key exchange and rotation, within bounds (spin; minutes)
	@model/run

bench: all $(benches) ## measurements, beside what they have to be compared with (root; installs the [bench] packages)
	@scripts/deps --check bench || scripts/deps bench
	@$(BUILD)/bench/fastpath
	@$(BUILD)/bench/crl
	@BUILD=$(BUILD) bench/services.sh
	@BUILD=$(BUILD) bench/secure.sh kernel clear signed secret
	@$(BUILD)/bench/crypto
	@$(BUILD)/bench/keys

.PHONY: bench-secure
SECURE_PATHS ?= kernel xsk xsk-cbc xsk-gcm clear signed secret gcm wireguard strongswan openvpn-cbc openvpn-gcm
bench-secure: all $(benches) ## the encrypted path beside other tunnels, and set-up of its sessions (root; installs the [bench] packages)
	@scripts/deps --check bench || scripts/deps bench
	@BUILD=$(BUILD) bench/secure.sh -o $(BUILD)/bench/secure.json $(SECURE_PATHS)
	@for m in tcp_mbps udp_mbps rtt_us rtt1_us carry_kpps_per_cpu; do \
		bench/plot.py $$m $(BUILD)/bench/secure.json >$(BUILD)/bench/secure-$$m.svg || exit 1; done
	@BUILD=$(BUILD) bench/setup.sh

format: ## clang-format the lines of C that are not committed yet
	git clang-format -f --binary $(CLANG_FORMAT) --extensions c,h HEAD

install_into = $(if $(2),install -d $(DESTDIR)$(3) && install -m $(1) $(2) $(DESTDIR)$(3)/)
install: all ## install below $(DESTDIR)$(PREFIX)
	$(Q)$(call install_into,755,$(programs),$(SBINDIR))
	$(Q)$(call install_into,644,$(wildcard man/*.8),$(MANDIR)/man8)
	$(Q)$(call install_into,644,$(wildcard man/*.5),$(MANDIR)/man5)
	$(Q)$(call install_into,644,$(wildcard docs/*.md README.md LICENSE),$(DOCDIR))
	$(Q)$(call install_into,644,$(wildcard etc/*.example.json etc/example*.json),$(DOCDIR)/examples)
	$(Q)$(call install_into,644,$(wildcard etc/*.schema.json etc/schema*.json),$(DATADIR))
	$(Q)$(call install_into,644,$(wildcard etc/systemd/*.service),$(UNITDIR))
	$(Q)install -d $(DESTDIR)$(COMPDIR) && install -m 644 completion/svr.bash $(DESTDIR)$(COMPDIR)/svr

# ---- fuzzing ---------------------------------------------------------------------------------
FUZZ_SEC ?= 60
fuzzers := $(patsubst fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard fuzz/fuzz_*.c))

fuzz: ## libFuzzer targets, FUZZ_SEC seconds each (clang with its sanitizer runtime)
	@scripts/deps --check develop || scripts/deps develop
	@$(MAKE) --no-print-directory $(fuzzers)
	@for f in $(fuzzers); do n=$${f##*/fuzz_}; mkdir -p $(BUILD)/fuzz/corpus/$$n && \
		$$f -max_total_time=$(FUZZ_SEC) -max_len=$$(cat fuzz/$$n.max_len 2>/dev/null || echo 1100) \
			-dict=fuzz/$$n.dict $(BUILD)/fuzz/corpus/$$n fuzz/corpus/$$n || exit 1; done

$(BUILD)/fuzz/%: fuzz/%.c $(wildcard lib/*.c)
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)$(CLANG) $(CPPFLAGS_ALL) -std=gnu11 -O1 -g $(WARN) -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined $^ $(pkg_libs) -o $@

clean: ## remove build/ and build-san/
	rm -rf build build-san

help: ## print this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  %-12s %s\n", $$1, $$2}' Makefile
	@echo
	@echo '  V=1 shows commands, SAN=1 adds sanitizers, BUILD=dir builds elsewhere,'
	@echo '  CC=, CLANG=, CFLAGS=, LDFLAGS=, BPF_CFLAGS=, PREFIX=, DESTDIR= as usual.'

-include $(all_objs:.o=.d) $(bpf_objs:.o=.d) $(bench_bpf:.o=.d)
