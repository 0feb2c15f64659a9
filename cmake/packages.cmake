# SPDX-License-Identifier: MIT
# The libraries that we use. `scripts/setup` names the Debian package of each.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

pkg_check_modules(URCU REQUIRED IMPORTED_TARGET liburcu-bp)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(DW REQUIRED IMPORTED_TARGET libdw)
pkg_check_modules(JSONC REQUIRED IMPORTED_TARGET json-c)
if(FL_TESTS)
	pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()

# Debian 12's Zydis has no .pc file.
find_path(ZYDIS_INCLUDE_DIR Zydis/Zydis.h REQUIRED)
find_library(ZYDIS_LIBRARY Zydis REQUIRED)
add_library(Zydis::Zydis UNKNOWN IMPORTED)
set_target_properties(Zydis::Zydis PROPERTIES IMPORTED_LOCATION ${ZYDIS_LIBRARY}
		      INTERFACE_INCLUDE_DIRECTORIES ${ZYDIS_INCLUDE_DIR})
