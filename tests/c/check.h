/* A test program: named scenarios, one of which is run by name; without a name it lists them. */
#ifndef CHECK_H
#define CHECK_H

#include <maze.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                  \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* The scenario cannot be played here: say why, which the test repeats. */
#define SKIP(reason)                                                                                                   \
    do {                                                                                                               \
        puts(reason);                                                                                                  \
        exit(77);                                                                                                      \
    } while (0)

/* Hand the report of a result to the test that runs this, which holds all of them against their schema. */
static inline void see_report_(const GenerationResultFFI *result)
{
    const char *path = getenv("MAZE_TEST_REPORTS");
    FILE *file = path == NULL ? NULL : fopen(path, "a");
    if (file != NULL) {
        fprintf(file, "%s\n", maze_result_json(result));
        fclose(file);
    }
}

/* Check status and a part of the error of a result, and free it. */
static inline void check_fails_(GenerationResultFFI *result, MazeStatus status, const char *part, int line)
{
    CHECK(result != NULL);
    if (result->success || maze_result_status(result) != status || result->error == NULL ||
        strncmp(result->error, "libmaze: ", 9) != 0 || strstr(result->error, part) == NULL) {
        fprintf(stderr, "line %d: wanted %s with '%s', got %s with '%s'\n", line, maze_status_name(status), part,
                maze_status_name(maze_result_status(result)), result->error ? result->error : "no error");
        exit(1);
    }
    CHECK(result->code != NULL);
    CHECK(maze_result_json(result)[0] == '{');
    see_report_(result);
    maze_free_result(result);
}
#define CHECK_FAILS(result, status, part) check_fails_(result, status, part, __LINE__)

static inline void check_succeeds_(GenerationResultFFI *result, int line)
{
    CHECK(result != NULL);
    if (!result->success || result->error != NULL || maze_result_status(result) != MAZE_OK) {
        fprintf(stderr, "line %d: %s\n", line, result->error ? result->error : "failed without an error");
        exit(1);
    }
    see_report_(result);
    maze_free_result(result);
}
#define CHECK_SUCCEEDS(result) check_succeeds_(result, __LINE__)

typedef struct Scenario {
    const char *name;
    void (*run)(void);
} Scenario;

#define SCENARIO(name) {#name, name}

static inline int run_scenario(int argc, char **argv, const Scenario *scenarios, size_t scenarios_len)
{
    for (size_t i = 0; i < scenarios_len; i++) {
        if (argc < 2)
            puts(scenarios[i].name);
        else if (strcmp(argv[1], scenarios[i].name) == 0) {
            scenarios[i].run();
            return 0;
        }
    }
    return argc < 2 ? 0 : 2;
}

#define SCENARIOS(...)                                                                                                 \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        static const Scenario scenarios[] = {__VA_ARGS__};                                                             \
        return run_scenario(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);                            \
    }

/* A constraint that compiles without an engine. */
static inline ConstraintIRFFI one_regex(const char *const *pattern)
{
    ConstraintIRFFI constraint;
    memset(&constraint, 0, sizeof constraint);
    constraint.magic = MAZE_CONSTRAINT_MAGIC;
    constraint.regex_patterns = pattern;
    constraint.regex_patterns_len = 1;
    return constraint;
}

#endif /* CHECK_H */
