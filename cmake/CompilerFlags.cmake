# SPDX-License-Identifier: MIT
# The flags of every file of this project (and of nobody who links to it).

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_compile_definitions(_POSIX_C_SOURCE=200809L)

# The optimisation level is CMake's own for Release, -O3: the loops of the model and the optimiser
# are plain C over arrays, which gcc vectorises fully only from -O3 on. It changes no result: a
# sum isn't reordered without fast-math, and a * b + c is never fused where we didn't write fma.
add_compile_options(-ffp-contract=off -g)
# Nobody reads errno after a sqrt: without it the optimiser's loop is vectorised, and takes half.
add_compile_options(-fno-math-errno)

add_compile_options(
    -Wall -Wextra -Wshadow -Wconversion -Wundef -Wvla -Wstrict-prototypes -Wmissing-prototypes
    -Wpointer-arith -Wcast-qual -Wwrite-strings)
if(TEMPERA_WERROR)
    add_compile_options(-Werror)
endif()

if(TEMPERA_SANITIZE)
    add_compile_options(-fsanitize=${TEMPERA_SANITIZE} -fno-sanitize-recover=all
                        -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${TEMPERA_SANITIZE})
endif()
