# headrace_module(NAME [DEPENDS module...] [LIBRARIES library...] [GENERATED source...]
#                 [TEST_LIBRARIES library...])
#
# Makes the library hr_NAME of src/NAME/**/*.c (and *.cc, shims), and one test program for each
# src/NAME/**/*_test.c.
# GENERATED sources lie below generated/ in the build folder, which is then on the include path of
# the module and its users; the target codec writes them before anything of these is compiled.
# A test links its own module and what that depends on, nothing above, so that a call upward is a
# link error. Test programs are labelled "unit" and may use everything under tests/support/.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

function(headrace_module name)
    cmake_parse_arguments(PARSE_ARGV 1 module "" "" "DEPENDS;LIBRARIES;GENERATED;TEST_LIBRARIES")
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.c
        ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
    set(tests ${sources})
    list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.c$")
    list(FILTER tests INCLUDE REGEX "_test\\.c$")
    add_library(hr_${name} STATIC ${sources} ${module_GENERATED})
    target_include_directories(hr_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    if(module_GENERATED)
        target_include_directories(hr_${name} PUBLIC ${CMAKE_BINARY_DIR}/generated)
        add_dependencies(hr_${name} codec)
    endif()
    list(TRANSFORM module_DEPENDS PREPEND hr_)
    target_link_libraries(hr_${name} PUBLIC ${module_DEPENDS} ${module_LIBRARIES})
    foreach(test ${tests})
        headrace_test(${test} unit hr_${name} ${module_TEST_LIBRARIES})
    endforeach()
endfunction()

# headrace_test(FILE LABEL library...): one cmocka program, named after its file.
function(headrace_test file label)
    get_filename_component(test_name ${file} NAME_WE)
    add_executable(${test_name} ${file})
    target_include_directories(${test_name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
    target_link_libraries(${test_name} PRIVATE ${ARGN} hr_fail_alloc PkgConfig::CMOCKA)
    set_target_properties(${test_name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_test(NAME ${test_name} COMMAND ${test_name})
    set_tests_properties(${test_name} PROPERTIES LABELS ${label} TIMEOUT 120)
endfunction()
