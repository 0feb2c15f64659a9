# SPDX-License-Identifier: MIT
# The comparison with the running kernel: faultline-diff, which `faultline diff` starts. Its engine and soft machine are on
# the fibers port, and keep their assertions in every build: one that breaks is a divergence.
#
#   faultline-diff        random programs and files, on the engine and on the kernel of this machine
#   faultline-diff-bugs   the same over an engine with seeded bugs (FL_BUG in src/), for tests alone
#   libdiff-rooms.a       what is in its rooms: tests link what they need of it
fl_glob(diff_main diff/*.c)
fl_glob(diff_rooms diff/*/*.c explore/raw/*.c)
fl_library(diff-rooms STATIC PORT fibers HOSTED SOURCES ${diff_rooms})

# fl_compared(SUFFIX NAME directory [source...]): the program, over an engine of its own.
function(fl_compared suffix name output)
	fl_library(engine-${suffix} OBJECT PORT fibers SOURCES ${engine_sources})
	target_compile_options(engine-${suffix} PRIVATE ${FL_FREESTANDING_FLAGS} -UNDEBUG)
	fl_library(soft-${suffix} OBJECT PORT fibers HOSTED SOURCES ${soft_sources})
	target_compile_options(soft-${suffix} PRIVATE -UNDEBUG)
	fl_program(${suffix}-command PORT fibers
		   SOURCES ${ARGN} ${diff_main} $<TARGET_OBJECTS:explore-lang> $<TARGET_OBJECTS:engine-${suffix}>
			   $<TARGET_OBJECTS:soft-${suffix}> $<TARGET_OBJECTS:port-fibers>
		   LINK diff-rooms Threads::Threads OUTPUT ${output} NAME ${name})
	target_compile_definitions(${suffix}-command PRIVATE FL_VERSION="${PROJECT_VERSION}")
endfunction()

if(diff_main)
	fl_compared(diff faultline-diff ${CMAKE_BINARY_DIR})
	if(FL_TESTS)
		fl_compared(diff-bugs faultline-diff-bugs ${CMAKE_BINARY_DIR}/tests explore/bug.c)
		foreach(target IN ITEMS engine-diff-bugs soft-diff-bugs diff-bugs-command)
			target_compile_definitions(${target} PRIVATE FL_SEEDED_BUGS=1)
		endforeach()
	endif()
endif()
