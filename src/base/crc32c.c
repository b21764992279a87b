/* crc32c: ISA-L's three-way carry-less multiplication, chosen at run time for the processor. */
#include "base/crc32c.h"

#include <isa-l/crc.h>
#include <limits.h>

uint32_t crc32c_extend(uint32_t crc, struct span bytes)
{
    uint32_t state = ~crc;
    while (bytes.size != 0) {
        int part = bytes.size > INT_MAX ? INT_MAX : (int)bytes.size;
        state = crc32_iscsi(span_writable(bytes), part, state);
        bytes = span_make(bytes.data + part, bytes.size - (size_t)part);
    }
    return ~state;
}

uint32_t crc32c(struct span bytes)
{
    return crc32c_extend(0, bytes);
}
