# SPDX-License-Identifier: MIT
# The command, the examples and the benchmark: over the public headers alone.

if(TEMPERA_COMMAND)
    find_package(PkgConfig REQUIRED)
    pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
    file(GLOB sources CONFIGURE_DEPENDS cli/*.c)
    add_executable(tempera-command ${sources})
    set_target_properties(tempera-command PROPERTIES OUTPUT_NAME tempera)
    target_link_libraries(tempera-command PRIVATE tempera-lm PkgConfig::JANSSON m)
endif()

if(TEMPERA_EXAMPLES)
    file(GLOB sources CONFIGURE_DEPENDS examples/*.c)
    # One example runs over MPI, where there is one.
    find_package(MPI QUIET COMPONENTS C)
    if(NOT MPI_C_FOUND)
        list(FILTER sources EXCLUDE REGEX "/tensor_parallel\\.c$")
    endif()
    # One runs inside llama.cpp: LLAMA_CPP_DIR is where that was built, or is installed.
    set(LLAMA_CPP_DIR "" CACHE PATH "llama.cpp, for the example that uses it")
    find_path(LLAMA_CPP_INCLUDE llama.h HINTS ${LLAMA_CPP_DIR} PATH_SUFFIXES include)
    find_path(LLAMA_CPP_GGML_INCLUDE ggml-backend.h HINTS ${LLAMA_CPP_DIR}
              PATH_SUFFIXES include ggml/include)
    find_library(LLAMA_CPP_LIBRARY llama HINTS ${LLAMA_CPP_DIR} PATH_SUFFIXES lib build/bin)
    find_library(LLAMA_CPP_GGML_LIBRARY ggml HINTS ${LLAMA_CPP_DIR} PATH_SUFFIXES lib build/bin)
    mark_as_advanced(LLAMA_CPP_INCLUDE LLAMA_CPP_GGML_INCLUDE LLAMA_CPP_LIBRARY
                     LLAMA_CPP_GGML_LIBRARY)
    if(LLAMA_CPP_INCLUDE AND LLAMA_CPP_GGML_INCLUDE AND LLAMA_CPP_LIBRARY AND
       LLAMA_CPP_GGML_LIBRARY)
        set(has_llama_cpp ON)
    else()
        message(STATUS "No llama.cpp (LLAMA_CPP_DIR): examples/llama_sampler.c is left out")
        list(FILTER sources EXCLUDE REGEX "/llama_sampler\\.c$")
        set(has_llama_cpp OFF)
    endif()
    foreach(source IN LISTS sources)
        cmake_path(GET source STEM name)
        add_executable(${name} ${source})
        target_link_libraries(${name} PRIVATE tempera-lm m)
        # An example of the score path alone loads no matrix library.
        target_link_options(${name} PRIVATE LINKER:--as-needed)
    endforeach()
    if(MPI_C_FOUND)
        target_link_libraries(tensor_parallel PRIVATE MPI::MPI_C)
    endif()
    if(has_llama_cpp)
        target_include_directories(llama_sampler SYSTEM PRIVATE
            ${LLAMA_CPP_INCLUDE} ${LLAMA_CPP_GGML_INCLUDE})
        target_link_libraries(llama_sampler PRIVATE
            ${LLAMA_CPP_LIBRARY} ${LLAMA_CPP_GGML_LIBRARY})
    endif()
endif()

# Over libtempera alone, but for what needs a matrix product. bench/peers, which needs other
# libraries, has a script of its own.
if(TEMPERA_BENCH)
    file(GLOB sources CONFIGURE_DEPENDS bench/*.c)
    if(NOT TEMPERA_LM)
        list(FILTER sources EXCLUDE REGEX "/(linear_loss|matmul|prompt)\\.c$")
    endif()
    add_executable(tempera-bench ${sources})
    target_link_libraries(tempera-bench PRIVATE tempera m)
    if(TEMPERA_LM)
        target_link_libraries(tempera-bench PRIVATE tempera-lm)
        target_compile_definitions(tempera-bench PRIVATE TEMPERA_BENCH_LM)
    endif()
endif()
