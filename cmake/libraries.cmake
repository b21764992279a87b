# The system libraries, each under one name hr::NAME, found once.
function(headrace_library name)
    find_path(${name}_INCLUDE ${ARGV1} REQUIRED)
    find_library(${name}_LIBRARY ${ARGV2} REQUIRED)
    add_library(hr::${name} INTERFACE IMPORTED)
    target_include_directories(hr::${name} SYSTEM INTERFACE ${${name}_INCLUDE})
    target_link_libraries(hr::${name} INTERFACE ${${name}_LIBRARY})
endfunction()

headrace_library(isal isa-l/crc.h isal)
headrace_library(zlib zlib.h z)
headrace_library(zstd zstd.h zstd)
headrace_library(lz4 lz4frame.h lz4)
headrace_library(snappy snappy-c.h snappy)
