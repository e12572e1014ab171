#include <stdio.h>

#include "lib.h"

int main(void) {
    printf("prog2: %s, Moon!\n", greeting());
    return 0;
}
