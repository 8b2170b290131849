/* Stands for the runtime of mlc-llm: a library that says its version. */
const char *mlc_llm_version(void) { return VERSION; }
