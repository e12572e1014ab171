#include "lib.h"

const char *greeting(void) { return "Hello"; }
