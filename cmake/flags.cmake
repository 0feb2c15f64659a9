# SPDX-License-Identifier: MIT
# Compiler flags, for gcc and clang.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# The archives may end up in an embedder's shared library. Without interposition PIC costs next to nothing.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_compile_options($<$<COMPILE_LANGUAGE:C>:-fno-semantic-interposition>)

if(NOT CMAKE_BUILD_TYPE)
	set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
set(CMAKE_C_FLAGS_DEBUG "-Og -g")

set(FL_WARNINGS -Wall -Wextra -Wconversion -Werror)
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
	list(APPEND FL_WARNINGS -Wthread-safety)
endif()

set(FL_FREESTANDING_FLAGS -ffreestanding)

if(FL_SANITIZE STREQUAL "address")
	add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
	add_link_options(-fsanitize=address,undefined)
elseif(FL_SANITIZE STREQUAL "thread")
	add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
	add_link_options(-fsanitize=thread)
elseif(NOT FL_SANITIZE STREQUAL "")
	message(FATAL_ERROR "FL_SANITIZE is '${FL_SANITIZE}'; it may be address, thread or empty")
endif()
