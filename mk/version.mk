# SPDX-License-Identifier: BSD-2-Clause
# The only place that holds the version; C sees it as SVR_VERSION.
VERSION := 0.1.0
