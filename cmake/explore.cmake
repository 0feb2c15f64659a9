# SPDX-License-Identifier: MIT
# The explorer. The program under test (the engine and the soft machine) is compiled once more, so that it tells of each
# plain access and of each block it reaches: with the hooks of -fsanitize=thread and -fsanitize-coverage=trace-pc, which
# explore/world answers; no sanitizer's library is linked.
#
#   libfaultline-explore.a   the engine, the soft machine, the fibers port, the search: what C tests link
#   faultline-explore        scenarios; `faultline explore` starts it
#   faultline-explore-bugs   the same over an engine with seeded bugs (FL_BUG in src/), for tests alone

# --param and -mllvm: entries and exits of functions are of no interest.
set(FL_WATCHED_FLAGS)
if(FL_SANITIZE STREQUAL "")
	set(FL_WATCHED_FLAGS -fsanitize=thread -fsanitize-coverage=trace-pc)
	if(CMAKE_C_COMPILER_ID MATCHES "Clang")
		list(APPEND FL_WATCHED_FLAGS -mllvm -tsan-instrument-func-entry-exit=0)
	else()
		list(APPEND FL_WATCHED_FLAGS --param tsan-instrument-func-entry-exit=0)
	endif()
endif()

# fl_watched(SUFFIX definition...): the program under test, with its assertions.
function(fl_watched suffix)
	fl_library(engine-${suffix} OBJECT PORT fibers SOURCES ${engine_sources})
	target_compile_options(engine-${suffix} PRIVATE ${FL_FREESTANDING_FLAGS} ${FL_WATCHED_FLAGS} -UNDEBUG)
	target_compile_definitions(engine-${suffix} PRIVATE ${ARGN})
	fl_library(soft-${suffix} OBJECT PORT fibers HOSTED SOURCES ${soft_sources})
	target_compile_options(soft-${suffix} PRIVATE ${FL_WATCHED_FLAGS} -UNDEBUG)
	target_compile_definitions(soft-${suffix} PRIVATE ${ARGN})
endfunction()

fl_glob(search_sources explore/search/*.c explore/world/*.c)
fl_glob(lang_sources explore/lang/*.c)
fl_glob(exec_sources explore/exec/*.c)
fl_glob(scenario_sources explore/host/*.c explore/raw/*.c explore/report/*.c)
fl_library(explorer OBJECT PORT fibers HOSTED SOURCES ${search_sources})
fl_library(explore-lang OBJECT PORT fibers HOSTED SOURCES ${lang_sources})
fl_library(explore-exec OBJECT PORT fibers HOSTED SOURCES ${exec_sources})
fl_library(scenarios OBJECT PORT fibers HOSTED SOURCES ${scenario_sources})
fl_watched(explore)
fl_archive(faultline-explore PORT fibers OBJECTS engine-explore soft-explore port-fibers explorer)

fl_glob(explore_main explore/*.c)
set(scenario_objects)
foreach(target IN ITEMS explore-lang explore-exec scenarios)
	if(TARGET ${target})
		list(APPEND scenario_objects $<TARGET_OBJECTS:${target}>)
	endif()
endforeach()
if(TARGET explorer AND explore_main)
	fl_program(explore-command PORT fibers SOURCES ${explore_main} ${scenario_objects}
		   LINK faultline-explore PkgConfig::DW PkgConfig::JSONC Threads::Threads
		   OUTPUT ${CMAKE_BINARY_DIR} NAME faultline-explore)
	target_compile_definitions(explore-command PRIVATE FL_VERSION="${PROJECT_VERSION}")
	if(FL_TESTS)
		fl_watched(bugs FL_SEEDED_BUGS=1)
		fl_archive(faultline-explore-bugs PORT fibers OBJECTS engine-bugs soft-bugs port-fibers explorer)
		fl_program(explore-bugs-command PORT fibers SOURCES ${explore_main} ${scenario_objects}
			   LINK faultline-explore-bugs PkgConfig::DW PkgConfig::JSONC Threads::Threads
			   OUTPUT ${CMAKE_BINARY_DIR}/tests NAME faultline-explore-bugs)
		target_compile_definitions(explore-bugs-command PRIVATE FL_VERSION="${PROJECT_VERSION}"
					   FL_SEEDED_BUGS=1)
	endif()
endif()

# C tests as an embedder writes them.
fl_glob(explore_examples explore/examples/*.c)
foreach(source IN LISTS explore_examples)
	get_filename_component(name ${source} NAME_WE)
	fl_program(explore-example-${name} PORT fibers SOURCES ${source} LINK faultline-explore PkgConfig::DW
		   OUTPUT ${CMAKE_BINARY_DIR}/explore/examples NAME ${name})
	target_compile_options(explore-example-${name} PRIVATE ${FL_WATCHED_FLAGS})
endforeach()
