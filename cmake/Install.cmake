# SPDX-License-Identifier: MIT
# cmake --install: libraries, headers, the CMake package, pkg-config files, command and model.
include(CMakePackageConfigHelpers)

install(TARGETS tempera tempera-lm EXPORT tempera-targets)
install(DIRECTORY include/tempera DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
if(TARGET tempera-command)
    install(TARGETS tempera-command)
endif()
