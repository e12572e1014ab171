/* Shared by both programs. */

const char *greeting(void);
