# headrace_templates(TARGET): adds to the target what `headrace flow init` writes: examples/start,
# and the C SDK's header, as a generated source.
find_package(Python3 REQUIRED COMPONENTS Interpreter)

function(headrace_templates target)
    set(start ${CMAKE_SOURCE_DIR}/examples/start)
    set(header ${CMAKE_SOURCE_DIR}/include/headrace/handler.h)
    set(words c:headrace/handler.h=${header})
    set(files ${header})
    foreach(file c/flow.yaml c/handler.c c/Makefile python/flow.yaml python/handler.py
            node/flow.yaml node/handler.js)
        string(REPLACE "/" ":" word ${file})
        list(APPEND words ${word}=${start}/${file})
        list(APPEND files ${start}/${file})
    endforeach()
    set(output ${CMAKE_BINARY_DIR}/generated/cli/flow_templates.c)
    add_custom_command(
        OUTPUT ${output}
        COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/embed.py --out ${output} ${words}
        DEPENDS ${files} ${CMAKE_SOURCE_DIR}/tools/embed.py
        COMMENT "Embedding the files of flow init" VERBATIM)
    target_sources(${target} PRIVATE ${output})
endfunction()
