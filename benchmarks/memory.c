/*
 * How much address space a call takes at its height: memory <compile|validate|generate> <schema|grammar|pattern|none>
 * <file of the constraint> <file of the text or prompt>
 *
 * Prints bytes, beyond what the process had after a small call of the same kind, and the status.
 */
#include "calls.h"

#include <string.h>

static long read_kib(const char *what)
{
    char line[256];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, what, strlen(what)) == 0)
            kib = atol(line + strlen(what));
    if (file != NULL)
        fclose(file);
    return kib;
}

static char *read_text(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        exit(2);
    fseek(file, 0, SEEK_END);
    *len = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(*len + 1);
    if (text == NULL || fread(text, 1, *len, file) != *len)
        exit(2);
    text[*len] = '\0';
    fclose(file);
    return text;
}

static const char *wanted_call;

static GenerationResultFFI *call(const ConstraintIRFFI *constraint, size_t constraints_len, const char *text,
                                 size_t text_len)
{
    const IntentFFI intent = {.raw_input = text};
    if (strcmp(wanted_call, "compile") == 0)
        return maze_compile_constraints(constraint, constraints_len, NULL, NULL);
    if (strcmp(wanted_call, "validate") == 0)
        return maze_validate(text, text_len, constraint, constraints_len, NULL, NULL);
    return maze_generate(&intent, constraint, constraints_len);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    wanted_call = argv[1];
    size_t constraint_len, text_len;
    const char *constraint_text = read_text(argv[3], &constraint_len), *text = read_text(argv[4], &text_len);
    const char *small_pattern = "^a*$";
    ConstraintIRFFI constraint = {.magic = MAZE_CONSTRAINT_MAGIC}, small = constraint;
    const bool constrained = strcmp(argv[2], "none") != 0;
    if (strcmp(argv[2], "schema") == 0) {
        constraint.json_schema = constraint_text;
        small.json_schema = "{\"enum\": [0]}";
    } else if (strcmp(argv[2], "grammar") == 0) {
        constraint.grammar = constraint_text;
        small.grammar = "start: \"a\"";
    } else {
        constraint.regex_patterns = &constraint_text;
        small.regex_patterns = &small_pattern;
        constraint.regex_patterns_len = small.regex_patterns_len = 1;
    }
    maze_free_result(call(&small, constrained, "0", 1));
    const long before = read_kib("VmSize:");
    GenerationResultFFI *result = call(&constraint, constrained, text, text_len);
    printf("%ld %s %.100s\n", (read_kib("VmPeak:") - before) * 1024, maze_status_name(maze_result_status(result)),
           result->error == NULL ? "" : result->error);
    return 0;
}
