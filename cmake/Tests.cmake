# SPDX-License-Identifier: MIT
# One ctest for each program of the folders below, which mirror src/, each tests/cli/*.sh, and those
# on the project itself. Slow builds leave out what they would find nothing in, and do fewer
# cases of the rest: check_is_small in tests/support/check.h.

set(folders base parallel kernels score sampler)
if(TEMPERA_LM)
    list(APPEND folders gguf tokenizer matmul model train)
endif()
list(TRANSFORM folders PREPEND tests/)
list(TRANSFORM folders APPEND /*.c OUTPUT_VARIABLE patterns)
file(GLOB sources CONFIGURE_DEPENDS ${patterns})
set(small "")
if(TEMPERA_SANITIZE OR CMAKE_CROSSCOMPILING)
    set(small TEMPERA_TEST_SMALL=1)
endif()
if(small OR TEMPERA_TEST_CODE)
    # Proofs by all floats, and statistics, are about numbers, which are the same everywhere.
    list(FILTER sources EXCLUDE REGEX "/(prove|test_sampler_statistics)\\.c$")
endif()

# The code of tests needs no speed, but for that which goes through millions of floats; and no lines
# for a debugger but in a build for one.
set(flags_tests "")
if(TEMPERA_SANITIZE)
    set(flags_tests -O0)
elseif(CMAKE_BUILD_TYPE STREQUAL Release)
    set(flags_tests -O1 -g0)
endif()

# What the programs share: the checks, references to compare with, settings.
file(GLOB support CONFIGURE_DEPENDS tests/support/*.c)
add_library(tempera-test-support STATIC ${support})
set_target_properties(tempera-test-support PROPERTIES
    ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests) # lib/ has only what is installed
target_include_directories(tempera-test-support PUBLIC tests/support src)
target_compile_options(tempera-test-support PRIVATE ${flags_tests})
target_link_libraries(tempera-test-support PUBLIC
    $<$<BOOL:${TEMPERA_LM}>:tempera-lm> tempera Threads::Threads m)

foreach(source IN LISTS sources)
    cmake_path(GET source STEM name)
    if(TEMPERA_SANITIZE STREQUAL thread) # finds nothing where there is one thread
        file(STRINGS ${source} threads REGEX "thread_pool_open|pthread_create|include .train_setup")
        if(NOT threads)
            continue()
        endif()
    endif()
    add_executable(${name} ${source})
    if(name STREQUAL kcheck) # checks what tempera-bench times
        target_sources(${name} PRIVATE bench/operations.c)
        target_include_directories(${name} PRIVATE bench)
    endif()
    set_target_properties(${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    # tests/llama stands in for llama.cpp's header.
    target_include_directories(${name} PRIVATE tests/llama)
    target_compile_definitions(${name} PRIVATE TEMPERA_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    target_link_libraries(${name} PRIVATE tempera-test-support)
    if(NOT name MATCHES "^(kcheck|prove)$")
        target_compile_options(${name} PRIVATE ${flags_tests})
    endif()
    set(arguments "")
    if(name STREQUAL kcheck AND TEMPERA_SANITIZE STREQUAL thread)
        set(arguments "thread count")
    endif()
    add_test(NAME ${name} COMMAND ${name} ${arguments})
    set_tests_properties(${name} PROPERTIES TIMEOUT 300 ENVIRONMENT "${small}")
endforeach()

find_package(Python3 3.10 QUIET COMPONENTS Interpreter)

# A script finds the command in $TEMPERA and an empty folder of its own in $TMPDIR.
file(GLOB scripts CONFIGURE_DEPENDS tests/cli/*.sh)
if(TEMPERA_SANITIZE STREQUAL thread)
    list(FILTER scripts INCLUDE REGEX "/model\\.sh$")
endif()
if(TARGET tempera-command)
    foreach(script IN LISTS scripts)
        cmake_path(GET script STEM name)
        add_test(NAME cli_${name}
                 COMMAND sh -c "rm -rf \"$TMPDIR\" && mkdir -p \"$TMPDIR\" && exec sh \"$0\"" ${script})
        set_tests_properties(cli_${name} PROPERTIES
            TIMEOUT 300
            WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
            ENVIRONMENT "TEMPERA=$<TARGET_FILE:tempera-command>;TMPDIR=${PROJECT_BINARY_DIR}/tests/cli/${name};${small}")
    endforeach()
endif()

# What isn't about the code as this build has compiled it needs no second run; and what looks at
# symbols or links to the libraries would meet a sanitizer's.
if(small OR TEMPERA_TEST_CODE)
    return()
endif()

# One call of the command after the other fails. That goes by glibc's own names for its allocator.
include(CheckFunctionExists)
check_function_exists(__libc_memalign TEMPERA_HAS_LIBC_MEMALIGN)
if(TARGET tempera-command AND Python3_FOUND AND TEMPERA_HAS_LIBC_MEMALIGN)
    add_library(tempera-faults MODULE tests/fault/inject.c)
    target_link_libraries(tempera-faults PRIVATE ${CMAKE_DL_LIBS})
    set_target_properties(tempera-faults PROPERTIES
        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    add_test(NAME cli_faults
             COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/fault/run.py
                     $<TARGET_FILE:tempera-command> $<TARGET_FILE:tempera-faults>
                     ${PROJECT_SOURCE_DIR}/data/rhymes.txt ${PROJECT_BINARY_DIR}/tests/faults)
    set_tests_properties(cli_faults PROPERTIES TIMEOUT 300 PROCESSORS 2)
endif()

# The sampler's vectors by the definitions, and the constants of exp; neither needs a build.
if(Python3_FOUND)
    add_test(NAME sampling_reference
             COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/sampler/sampling_reference.py
                     ${PROJECT_SOURCE_DIR}/tests/golden/sampling)
    add_test(NAME hygiene_constants
             COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/scripts/make-exp-polynomial
                     --check)
else()
    message(STATUS "No Python 3.10: neither the sampler's vectors nor the constants are checked")
endif()

if(NOT TEMPERA_LM)
    return()
endif()

# The project itself.
set(hygiene ${PROJECT_SOURCE_DIR}/tests/hygiene)
add_test(NAME hygiene_changing COMMAND sh ${hygiene}/changing.sh ${PROJECT_SOURCE_DIR})
add_test(NAME hygiene_headers
         COMMAND sh ${hygiene}/headers.sh ${CMAKE_C_COMPILER} ${PROJECT_SOURCE_DIR})
add_test(NAME hygiene_includes COMMAND sh ${hygiene}/includes.sh ${PROJECT_SOURCE_DIR})
add_test(NAME hygiene_style COMMAND sh ${hygiene}/style.sh ${PROJECT_SOURCE_DIR})
add_test(NAME hygiene_symbols
         COMMAND sh ${hygiene}/symbols.sh ${CMAKE_NM} ${CMAKE_C_COMPILER}
                 ${CMAKE_ARCHIVE_OUTPUT_DIRECTORY}
                 ${PROJECT_BINARY_DIR}/CMakeFiles/tempera.dir/src)
add_test(NAME install COMMAND sh ${PROJECT_SOURCE_DIR}/tests/install/run.sh
                              ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER})
