# SPDX-License-Identifier: MIT
# The comparison with the running kernel: faultline-diff, which `faultline diff` starts. Its engine is the ordinary one, on
# the fibers port.
#
#   faultline-diff        random programs and files, on the engine and on the kernel of this machine
#   faultline-diff-bugs   the same over an engine with seeded bugs (FL_BUG in src/), for tests alone
#   libdiff-rooms.a       what is in its rooms: tests link what they need of it
fl_glob(diff_sources diff/*.c diff/*/*.c diff/*/*.S)
fl_glob(diff_main diff/*.c)
fl_glob(diff_rooms diff/*/*.c diff/*/*.S)
fl_library(diff-rooms STATIC PORT fibers HOSTED SOURCES ${diff_rooms})
if(EXISTS ${CMAKE_SOURCE_DIR}/diff/main.c)
	fl_program(diff-command PORT fibers SOURCES ${diff_main} $<TARGET_OBJECTS:explore-lang>
		   LINK diff-rooms faultline-soft-fibers faultline-fibers PkgConfig::JSONC Threads::Threads
		   OUTPUT ${CMAKE_BINARY_DIR} NAME faultline-diff)
	target_compile_definitions(diff-command PRIVATE FL_VERSION="${PROJECT_VERSION}")
	if(FL_TESTS)
		fl_library(engine-seeded OBJECT PORT fibers SOURCES ${engine_sources})
		target_compile_options(engine-seeded PRIVATE ${FL_FREESTANDING_FLAGS})
		target_compile_definitions(engine-seeded PRIVATE FL_SEEDED_BUGS=1)
		fl_library(diff-seeded OBJECT PORT fibers HOSTED SOURCES ${diff_sources})
		target_compile_definitions(diff-seeded PRIVATE FL_VERSION="${PROJECT_VERSION}" FL_SEEDED_BUGS=1)
		fl_library(soft-seeded OBJECT PORT fibers HOSTED SOURCES ${soft_sources})
		target_compile_definitions(soft-seeded PRIVATE FL_SEEDED_BUGS=1)
		fl_program(diff-bugs-command PORT fibers
			   SOURCES explore/bug.c $<TARGET_OBJECTS:diff-seeded> $<TARGET_OBJECTS:explore-lang>
				   $<TARGET_OBJECTS:engine-seeded> $<TARGET_OBJECTS:soft-seeded> $<TARGET_OBJECTS:port-fibers>
			   LINK PkgConfig::JSONC Threads::Threads OUTPUT ${CMAKE_BINARY_DIR}/tests NAME faultline-diff-bugs)
		target_compile_definitions(diff-bugs-command PRIVATE FL_SEEDED_BUGS=1)
	endif()
endif()
