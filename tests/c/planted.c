/* Faults in the test program that `make test-memory` must find; what it does not find here, it would not find in the library. */
#include "check.h"

static void a_leak(void)
{
    CHECK_SUCCEEDS(maze_compile_constraints(NULL, 0, NULL, NULL));
    char *volatile lost = NULL;
    for (int i = 0; i < 10; i++) /* the last pointers may lie about somewhere still */
        lost = malloc(12345);
    CHECK(lost != NULL);
}

static void an_invalid_read(void)
{
    const size_t len = 8;
    GenerationResultFFI *result = maze_compile_constraints(NULL, 0, NULL, NULL);
    char *volatile text = malloc(len);
    CHECK(text != NULL);
    CHECK(((volatile char *)text)[len] != maze_result_json(result)[0]); /* '{' */
    free(text);
    CHECK_SUCCEEDS(result);
}

static void a_use_after_free(void)
{
    GenerationResultFFI *result = maze_compile_constraints(NULL, 0, "rust", NULL);
    const char *code = maze_result_json(result);
    maze_free_result(result);
    CHECK(*(const volatile char *)code != 'x');
}

static void a_result_that_is_not_freed(void)
{
    GenerationResultFFI *volatile lost = NULL;
    for (int i = 0; i < 10; i++)
        lost = maze_compile_constraints(NULL, 0, NULL, NULL);
    CHECK(lost->success);
}

SCENARIOS(SCENARIO(a_leak), SCENARIO(an_invalid_read), SCENARIO(a_use_after_free),
          SCENARIO(a_result_that_is_not_freed))
