#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# docs/fidelity.md names the rules as they are, and its table of coverage shows what a short run reaches.
exec "$(dirname "$0")/../../scripts/fidelity" "$1" --check
