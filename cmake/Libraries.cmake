# SPDX-License-Identifier: MIT
# libtempera: scores to probabilities, losses and tokens. libc and threads, nothing else.
# libtempera-lm: the small language model. libtempera's public headers and a matrix library.

find_package(Threads REQUIRED)

function(tempera_library name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "ROOMS")
    list(TRANSFORM arg_ROOMS PREPEND src/)
    list(TRANSFORM arg_ROOMS APPEND /*.c)
    file(GLOB sources CONFIGURE_DEPENDS ${arg_ROOMS})
    if(name STREQUAL tempera-lm)
        # Both libraries need base privately. What it exports lives in libtempera alone.
        list(FILTER sources EXCLUDE REGEX "/base/(status|version)\\.c$")
    endif()
    if(NOT sources)
        file(WRITE ${PROJECT_BINARY_DIR}/empty.c "extern int tempera_empty;\n")
        set(sources ${PROJECT_BINARY_DIR}/empty.c)
    endif()
    add_library(${name} ${sources})
    add_library(tempera::${name} ALIAS ${name})
    target_include_directories(${name}
        PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
               $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
        PRIVATE ${PROJECT_SOURCE_DIR}/src)
    set_target_properties(${name} PROPERTIES
        VERSION ${PROJECT_VERSION}
        SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
endfunction()

tempera_library(tempera ROOMS base parallel simd kernels score sampler)
target_link_libraries(tempera PRIVATE Threads::Threads)

tempera_library(tempera-lm ROOMS base gguf tokenizer matmul model train)
# A build of OpenBLAS that can be called from several threads, which Debian's serial one can't:
# src/matmul refuses that when it runs.
find_package(PkgConfig REQUIRED)
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
target_link_libraries(tempera-lm PUBLIC tempera PRIVATE PkgConfig::OPENBLAS m)
