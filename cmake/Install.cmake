# SPDX-License-Identifier: MIT
# cmake --install: libraries, headers, the CMake package, pkg-config files, command and models.
# Nothing of it knows the folder it lies in, so an installation can be moved.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tempera)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH prefix_from_pkgconfig /prefix/${pkgconfig_dir} /prefix)
file(RELATIVE_PATH libdir_from_bindir /prefix/${CMAKE_INSTALL_BINDIR} /prefix/${CMAKE_INSTALL_LIBDIR})
set_target_properties(tempera-lm PROPERTIES INSTALL_RPATH "$ORIGIN")

install(DIRECTORY include/tempera DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN *.h)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY models DESTINATION ${CMAKE_INSTALL_DATADIR}/tempera
        FILES_MATCHING PATTERN *.gguf PATTERN *.md)
if(TARGET tempera-command)
    set_target_properties(tempera-command PROPERTIES
        INSTALL_RPATH "$ORIGIN/${libdir_from_bindir}")
    install(TARGETS tempera-command)
endif()

# Two export sets, so that a program without the language model needs no matrix library.
install(TARGETS tempera EXPORT tempera-targets)
install(TARGETS tempera-lm EXPORT tempera-lm-targets)
# Who links a static library links what that needs, too; a shared one brings it along.
if(NOT BUILD_SHARED_LIBS)
    set(needed_packages ", openblas")
    set(needed_libraries " -lm")
    set(needed_threads " -pthread")
endif()
foreach(library tempera tempera-lm)
    install(EXPORT ${library}-targets NAMESPACE tempera:: DESTINATION ${package_dir})
    configure_file(cmake/${library}.pc.in ${library}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${library}.pc DESTINATION ${pkgconfig_dir})
endforeach()
configure_package_config_file(cmake/tempera-config.cmake.in tempera-config.cmake
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(tempera-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tempera-config.cmake
              ${PROJECT_BINARY_DIR}/tempera-config-version.cmake
        DESTINATION ${package_dir})
