# SPDX-License-Identifier: MIT
# make install: the command, the library on the threads port, its headers, pkg-config file and manual pages.

set(CMAKE_INSTALL_LIBDIR lib CACHE PATH "where libraries go, below the prefix")
include(GNUInstallDirs)

foreach(target IN ITEMS faultline faultline-command)
	if(TARGET ${target})
		install(TARGETS ${target} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
			ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
	endif()
endforeach()

# fl_port.h finds the port's half beside it.
fl_glob(public_headers include/faultline/*.h ports/threads/fl_port_impl.h)
install(FILES ${public_headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/faultline)

configure_file(${PROJECT_SOURCE_DIR}/faultline.pc.in ${CMAKE_BINARY_DIR}/faultline.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/faultline.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

fl_glob(man_pages docs/man/*.1)
install(FILES ${man_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
