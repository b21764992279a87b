# Warnings, hardening and the sanitizers that a preset asks for by HEADRACE_SANITIZE.
set(HEADRACE_SANITIZE "" CACHE STRING "Comma-separated sanitizers: address,undefined or thread")
option(HEADRACE_COVERAGE "Count which lines run" OFF)
option(HEADRACE_FUZZ "Build the libFuzzer targets (clang only)" OFF)

add_compile_options(
    -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wcast-qual -Wformat=2
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
    $<$<COMPILE_LANGUAGE:C>:-Wnull-dereference> -Wundef -Wvla -Wswitch-enum
    -Wframe-larger-than=16384 -Werror -fno-omit-frame-pointer)
# No exceptions and no run-time types in the shims.
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions> $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wlogical-op -Wduplicated-cond -Wduplicated-branches)
endif()

add_compile_definitions(_GNU_SOURCE)
add_compile_options(-fstack-protector-strong)
# Not with clang: version 14 moves the prologue behind a comparison and then lets the probing of the
# stack overwrite the flags that the comparison left for later. The codec's tests show it.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fstack-clash-protection)
endif()
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    add_compile_options(-fcf-protection=full)
endif()
add_link_options(-pie -Wl,-z,relro,-z,now -Wl,--as-needed -Wl,--gc-sections)

if(HEADRACE_SANITIZE)
    add_compile_options(-fsanitize=${HEADRACE_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${HEADRACE_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
if(HEADRACE_COVERAGE)
    add_compile_options(--coverage)
    add_link_options(--coverage)
endif()
if(HEADRACE_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
