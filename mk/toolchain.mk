# SPDX-License-Identifier: BSD-2-Clause
# Compilers, flags and libraries. Everything here may be given on the command line.

# make's built-in default for CC is "cc", which is no choice of the user's
ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin AR),default)
AR := $(if $(findstring clang,$(CC)),llvm-ar,gcc-ar)
endif
PKG_CONFIG ?= pkg-config
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/bin/bpftool) bpftool)

first_program = $(firstword $(foreach p,$(1),$(if $(shell command -v $(p)),$(p))))
CLANG ?= $(or $(call first_program,clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14),clang)
LLVM_STRIP ?= $(or $(call first_program,$(patsubst clang%,llvm-strip%,$(notdir $(CLANG))) llvm-strip),llvm-strip)
CLANG_FORMAT ?= $(patsubst clang%,clang-format%,$(CLANG))

# User space: one list of libraries for all programs, --as-needed keeps what each one uses
PKGS := libbpf libxdp json-c libevent_core libcrypto libcurl
TEST_PKGS := criterion
pkg_cflags := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
pkg_libs := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)
test_cflags := $(shell $(PKG_CONFIG) --cflags $(TEST_PKGS) 2>/dev/null)
test_libs := $(shell $(PKG_CONFIG) --libs $(TEST_PKGS) 2>/dev/null)

# Intel's ipsec-mb, which has no pkg-config file: its header decides, the library is looked for at run time
have_ipsec_mb := $(shell echo '\#include <intel-ipsec-mb.h>' | $(CC) $(CPPFLAGS) -E - >/dev/null 2>&1 && echo 1)
ipsec_mb_cflags := $(if $(have_ipsec_mb),-DSVR_HAVE_IPSEC_MB)

WARN := -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes
CPPFLAGS_ALL = -D_GNU_SOURCE -DSVR_VERSION='"$(VERSION)"' -Iinclude -I. -Ivmlinux -I$(BUILD) \
	       $(pkg_cflags) $(ipsec_mb_cflags) $(CPPFLAGS)
ifeq ($(SAN),1)
# -O1 keeps stack traces readable; _FORTIFY_SOURCE would hide calls from the sanitizer
OPT ?= -O1 -g
HARDEN := -fstack-protector-strong
# gcc sees uninitialised variables in instrumented code that are none; the plain build still looks
WARN += -Wno-maybe-uninitialized
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else
OPT ?= -O2 -g
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2
SANFLAGS :=
endif
CFLAGS_ALL = -std=gnu11 $(OPT) $(WARN) $(HARDEN) -fPIE -pthread $(SANFLAGS) $(CFLAGS)
LDFLAGS_ALL = -pie -pthread -Wl,-z,relro,-z,now -Wl,--as-needed $(SANFLAGS) $(LDFLAGS)

# BPF: clang has no multiarch path for -target bpf, and <linux/types.h> wants <asm/types.h>; <linux/icmp.h> ends in
# <gnu/stubs.h>, which takes a machine that it does not know for 32 bits and wants a package that nobody has
bpf_arch := $(shell uname -m | sed 's/x86_64/x86/;s/aarch64/arm64/;s/ppc64le/powerpc/;s/riscv64/riscv/;s/s390x/s390/')
BPF_CFLAGS_ALL = -target bpf -D__TARGET_ARCH_$(bpf_arch) -D__$(shell uname -m)__ -std=gnu11 -g -O2 -mcpu=v3 \
		 -Wall -Werror -fno-stack-protector -Iinclude -I. -Ivmlinux \
		 -idirafter /usr/include/$(shell uname -m)-linux-gnu $(BPF_CFLAGS)

# Quiet by default: "  CC file.o"; V=1 shows whole commands
ifeq ($(V),1)
Q :=
say :=
else
Q := @
say = @printf '  %-7s %s\n' $(1) $(2);
endif
