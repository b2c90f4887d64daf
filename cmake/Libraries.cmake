# SPDX-License-Identifier: MIT
# libtempera: scores to probabilities, losses and tokens. libc and threads, nothing else.
# libtempera-lm: the small language model. libtempera's public headers and a matrix library.

find_package(Threads REQUIRED)

function(tempera_library name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "MODULES")
    list(TRANSFORM arg_MODULES PREPEND src/)
    list(TRANSFORM arg_MODULES APPEND /*.c OUTPUT_VARIABLE patterns)
    list(TRANSFORM arg_MODULES APPEND /*/*.c)
    file(GLOB sources CONFIGURE_DEPENDS ${patterns} ${arg_MODULES})
    list(FILTER sources EXCLUDE REGEX "/isa_[a-z0-9_]*\\.c$")
    if(name STREQUAL tempera-lm)
        # Both libraries need base privately. What it exports lives in libtempera alone.
        list(FILTER sources EXCLUDE REGEX "/base/(matrix|status|version)\\.c$")
    endif()
    add_library(${name} ${sources})
    add_library(tempera::${name} ALIAS ${name})
    target_include_directories(${name}
        PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
               $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
        PRIVATE ${PROJECT_SOURCE_DIR}/src)
    set_target_properties(${name} PROPERTIES
        VERSION ${PROJECT_VERSION}
        SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
        DEFINE_SYMBOL "") # the objects of a static and of a shared library are the same
endfunction()

tempera_library(tempera MODULES base parallel simd kernels score sampler)
target_link_libraries(tempera PRIVATE Threads::Threads)

# One translation unit for each instruction set, with its own flags; nothing else has any.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    set(isas scalar scalar_fma avx2 avx512)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    set(isas scalar neon)
else()
    set(isas scalar)
endif()
set(flags_scalar_fma -mfma)
set(flags_avx2 -mavx2 -mfma -mf16c)
set(flags_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512)
if(TEMPERA_SANITIZE) # 16 lanes written out: with checks, gcc's -O1 takes ten times as long as -O0
    set(flags_scalar -O0)
    list(APPEND flags_scalar_fma -O0)
endif()
# Which variable lies in which register at which instruction takes gcc a fifth of its time for these.
set(flags_compiler $<$<C_COMPILER_ID:GNU>:-fno-var-tracking-assignments>)
foreach(isa IN LISTS isas)
    target_sources(tempera PRIVATE src/kernels/isa_${isa}.c)
    set_source_files_properties(src/kernels/isa_${isa}.c PROPERTIES
        COMPILE_OPTIONS "${flags_${isa}};${flags_compiler}")
endforeach()

if(TEMPERA_LM)
    tempera_library(tempera-lm MODULES base gguf tokenizer matmul model train)
    # A build of OpenBLAS that can be called from several threads, which Debian's serial one can't:
    # src/matmul refuses that when it runs.
    find_package(PkgConfig REQUIRED)
    pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
    target_link_libraries(tempera-lm PUBLIC tempera PRIVATE PkgConfig::OPENBLAS m)
    foreach(isa IN LISTS isas)
        if(isa MATCHES "^avx")
            target_sources(tempera-lm PRIVATE src/matmul/isa_${isa}.c)
            set_source_files_properties(src/matmul/isa_${isa}.c PROPERTIES
                COMPILE_OPTIONS "${flags_${isa}}")
        endif()
    endforeach()
endif()
