#include <stdio.h>

#include "lib.h"

int main(void) {
    printf("prog: %s, World!\n", greeting());
    return 0;
}
