/* main: finds the command. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"

int main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "serve") == 0)
        return serve_main(argc - 1, argv + 1);
    (void)fprintf(stderr, "usage: headrace serve [OPTION...]\n");
    return 2;
}
