# headrace_fuzz(NAME library...): the libFuzzer target of tests/fuzz/NAME.c, in the preset "fuzz".
#
# As a test, labelled "fuzz", it runs for HEADRACE_FUZZ_SECONDS from the seeds in
# fuzz/seeds/NAME/ of the build folder, keeps what it finds in fuzz/corpus/NAME/, and whatever
# makes seeds is a test with the fixture "seeds".
set(HEADRACE_FUZZ_SECONDS 30 CACHE STRING "How long each fuzz target runs as a test")

function(headrace_fuzz name)
    if(NOT HEADRACE_FUZZ)
        return()
    endif()
    add_executable(${name} ${CMAKE_SOURCE_DIR}/tests/fuzz/${name}.c)
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
    target_link_libraries(${name} PRIVATE ${ARGN})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
    set(seeds ${CMAKE_BINARY_DIR}/fuzz/seeds/${name})
    set(corpus ${CMAKE_BINARY_DIR}/fuzz/corpus/${name})
    file(MAKE_DIRECTORY ${seeds} ${corpus})
    add_test(
        NAME ${name}
        COMMAND ${name} -max_total_time=${HEADRACE_FUZZ_SECONDS} -timeout=10 -rss_limit_mb=1024
                -print_final_stats=1 ${corpus} ${seeds}
        WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
    set_tests_properties(${name} PROPERTIES LABELS fuzz FIXTURES_REQUIRED seeds TIMEOUT 3600)
endfunction()
