# headrace_codec(VARIABLE): writes the codec of protocol/ below generated/ in the build folder.
#
# Sets VARIABLE to the generated sources of the module wire, and VARIABLE_SHAPES to the one that
# only tests link. gen.py leaves files alone whose text did not change, and ninja looks again after
# it ran, so that an edit of one definition recompiles one message.
find_package(Python3 REQUIRED COMPONENTS Interpreter)

function(headrace_codec variable)
    set(generated ${CMAKE_BINARY_DIR}/generated)
    set(gen ${CMAKE_SOURCE_DIR}/tools/gen.py --protocol ${CMAKE_SOURCE_DIR}/protocol
        --out ${generated})
    file(GLOB_RECURSE definitions CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/protocol/*.msg)
    execute_process(
        COMMAND ${Python3_EXECUTABLE} ${gen} --list
        OUTPUT_VARIABLE outputs OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    string(REPLACE "\n" ";" outputs "${outputs}")
    add_custom_command(
        OUTPUT ${generated}/stamp
        BYPRODUCTS ${outputs}
        COMMAND ${Python3_EXECUTABLE} ${gen}
        COMMAND ${CMAKE_COMMAND} -E touch ${generated}/stamp
        DEPENDS ${definitions} ${CMAKE_SOURCE_DIR}/tools/gen.py
                ${CMAKE_SOURCE_DIR}/tools/definitions.py
        COMMENT "Generating the codec" VERBATIM)
    add_custom_target(codec DEPENDS ${generated}/stamp)
    set(sources ${outputs})
    list(FILTER sources INCLUDE REGEX "/wire/.*\\.c$")
    set(shapes ${outputs})
    list(FILTER shapes INCLUDE REGEX "/test/.*\\.c$")
    set(${variable} ${sources} PARENT_SCOPE)
    set(${variable}_SHAPES ${shapes} PARENT_SCOPE)
endfunction()
