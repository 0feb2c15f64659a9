#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every C source is formatted as .clang-format says.
exec "$(dirname "$0")/../scripts/format" --check
