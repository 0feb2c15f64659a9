# SPDX-License-Identifier: MIT
# make install: the commands, the library on the threads port, the explorer's on fibers, their headers, pkg-config files
# and manual pages.

foreach(target IN ITEMS faultline faultline-command faultline-explore)
	if(TARGET ${target})
		install(TARGETS ${target} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
			ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
	endif()
endforeach()

# `faultline explore` and `faultline diff` find them from where they lie themselves.
foreach(target IN ITEMS explore-command diff-command)
	if(TARGET ${target})
		install(TARGETS ${target} RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR})
	endif()
endforeach()

# fl_port.h finds beside it what chooses the port's half by FL_PORT_FIBERS.
fl_glob(public_headers include/faultline/*.h ports/choose/fl_port_impl.h)
install(FILES ${public_headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/faultline)
foreach(port IN LISTS FL_PORTS)
	install(FILES ${PROJECT_SOURCE_DIR}/ports/${port}/fl_port_impl.h
		DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/faultline/${port})
endforeach()

set(FL_PC_FILES faultline)
if(TARGET faultline-explore)
	list(APPEND FL_PC_FILES faultline-explore)
endif()
foreach(name IN LISTS FL_PC_FILES)
	configure_file(${PROJECT_SOURCE_DIR}/${name}.pc.in ${CMAKE_BINARY_DIR}/${name}.pc @ONLY)
	install(FILES ${CMAKE_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

fl_glob(man_pages docs/man/*.1)
install(FILES ${man_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
