/*
 * Ask a language model for code that obeys a JSON Schema, and print it as it arrives.
 *
 *     cc -std=c99 generate.c -o generate $(pkg-config --cflags --libs maze) \
 *         -Wl,-rpath,$(pkg-config --variable=libdir maze)
 *     ./generate "Plan a function that parses a date."
 *
 * PKG_CONFIG_PATH leads to a libmaze that is not installed system-wide: $PWD/.venv/lib/pkgconfig in the source tree.
 * Without MODAL_ENDPOINT in the environment the embedded model is used.
 */
#include <maze.h>
#include <stdio.h>

static const char schema[] = "{\"type\": \"object\","
                             " \"properties\": {"
                             "   \"name\": {\"type\": \"string\", \"pattern\": \"^[a-z]+(_[a-z]+){1,3}$\"},"
                             "   \"returns\": {\"enum\": [\"int\", \"float\", \"str\", \"bool\"]},"
                             "   \"lines\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 20}},"
                             " \"required\": [\"name\", \"returns\", \"lines\"],"
                             " \"additionalProperties\": false}";

/* Receives the text as it arrives; returning false would end the generation. */
static bool print_text(const char *text, size_t text_len, void *user_data)
{
    FILE *out = (FILE *)user_data;
    return fwrite(text, 1, text_len, out) == text_len && fflush(out) == 0;
}

int main(int argc, char **argv)
{
    IntentFFI intent = {NULL, NULL, NULL, NULL};
    intent.raw_input = argc > 1 ? argv[1] : "Plan a Python function that converts degrees Celsius to Fahrenheit.";
    intent.language = "python";

    ConstraintIRFFI constraint = {MAZE_CONSTRAINT_MAGIC, NULL, NULL, NULL, 0, NULL, 0, NULL};
    constraint.json_schema = schema;
    constraint.name = "plan";

    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.max_tokens = 200;
    options.temperature = 0;

    GenerationResultFFI *result = maze_generate_stream(&intent, &constraint, 1, &options, print_text, stdout);
    putchar('\n');
    const int succeeded = result->success;
    if (succeeded)
        fprintf(stderr, "%lu tokens in %lu ms\n", (unsigned long)result->tokens_generated,
                (unsigned long)result->generation_time_ms);
    else
        fprintf(stderr, "%s: %s\n", maze_status_name(maze_result_status(result)), result->error);
    maze_free_result(result);
    return succeeded ? 0 : 1;
}
