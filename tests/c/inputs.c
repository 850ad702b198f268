/* Everything wrong that a caller can pass in. */
#include "check.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const letters = "^[a-z]+$";

static GenerationResultFFI *compile(const ConstraintIRFFI *constraints, size_t len)
{
    return maze_compile_constraints(constraints, len, NULL, NULL);
}

/* A text that ends where the next byte would crash. */
static char *text_at_edge(size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t mapped = (len / page + 1) * page;
    char *pages = mmap(NULL, mapped + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    CHECK(mprotect(pages + mapped, page, PROT_NONE) == 0);
    return pages + mapped - len;
}

static void null_pointers_are_named(void)
{
    ConstraintIRFFI constraint = one_regex(&letters);
    IntentFFI intent = {.raw_input = NULL, .prompt = "x"};
    GenerationResultFFI *results[1] = {NULL};

    CHECK_FAILS(maze_generate(NULL, NULL, 0), MAZE_INVALID_ARGUMENT, "intent is NULL");
    CHECK_FAILS(maze_generate(&intent, NULL, 0), MAZE_INVALID_ARGUMENT, "intent.raw_input is NULL");
    CHECK_FAILS(maze_generate_with(NULL, NULL, 0, NULL), MAZE_INVALID_ARGUMENT, "intent is NULL");
    CHECK_FAILS(maze_generate_stream(&intent, NULL, 0, NULL, NULL, NULL), MAZE_INVALID_ARGUMENT, "callback is NULL");
    CHECK_FAILS(compile(NULL, 3), MAZE_INVALID_ARGUMENT, "constraints is NULL, but constraints_len is 3");
    CHECK_FAILS(maze_validate(NULL, 1, &constraint, 1, NULL, NULL), MAZE_INVALID_ARGUMENT, "text is NULL");
    CHECK(maze_generate_batch(&intent, 1, NULL, 0, NULL, NULL) == MAZE_INVALID_ARGUMENT);
    CHECK(maze_generate_batch(NULL, 1, NULL, 0, NULL, results) == MAZE_INVALID_ARGUMENT);
    CHECK_FAILS(results[0], MAZE_INVALID_ARGUMENT, "intents is NULL, but intents_len is 1");
    CHECK(maze_generate_batch(&intent, 1, NULL, 0, NULL, results) == MAZE_INVALID_ARGUMENT);
    CHECK_FAILS(results[0], MAZE_INVALID_ARGUMENT, "intents[0].raw_input is NULL");
    CHECK(maze_cache_stats(NULL) == MAZE_INVALID_ARGUMENT);
}

static void null_pointers_that_may_be_null_are_taken(void)
{
    ConstraintIRFFI nothing = {.magic = MAZE_CONSTRAINT_MAGIC};
    TokenMaskRulesFFI no_rules = {0};
    CHECK_SUCCEEDS(compile(NULL, 0));
    CHECK_SUCCEEDS(compile(&nothing, 1));
    nothing.token_masks = &no_rules;
    CHECK_SUCCEEDS(compile(&nothing, 1));
    CHECK_SUCCEEDS(maze_validate(NULL, 0, NULL, 0, NULL, NULL));
    CHECK(maze_generate_batch(NULL, 0, NULL, 0, NULL, &(GenerationResultFFI *){NULL}) == MAZE_OK);
}

static void a_length_without_a_pointer_is_an_error(void)
{
    ConstraintIRFFI constraint = {.magic = MAZE_CONSTRAINT_MAGIC, .regex_patterns_len = 2};
    CHECK_FAILS(compile(&constraint, 1), MAZE_INVALID_ARGUMENT, "constraints[0].regex_patterns is NULL");

    TokenMaskRulesFFI masks = {.allowed_tokens_len = 2};
    constraint = (ConstraintIRFFI){.magic = MAZE_CONSTRAINT_MAGIC, .token_masks = &masks};
    CHECK_FAILS(compile(&constraint, 1), MAZE_INVALID_ARGUMENT, "constraints[0].token_masks.allowed_tokens is NULL");
    masks = (TokenMaskRulesFFI){.forbidden_tokens_len = 2};
    CHECK_FAILS(compile(&constraint, 1), MAZE_INVALID_ARGUMENT, "constraints[0].token_masks.forbidden_tokens is NULL");

    const char *patterns[2] = {letters, NULL};
    constraint = one_regex(patterns);
    constraint.regex_patterns_len = 2;
    CHECK_FAILS(compile(&constraint, 1), MAZE_INVALID_ARGUMENT, "constraints[0].regex_patterns[1] is NULL");
}

static void an_absurd_length_is_refused_before_anything_is_read(void)
{
    static const size_t absurd[] = {MAZE_MAX_ARRAY_LENGTH + 1, SIZE_MAX / 64, SIZE_MAX};
    uint32_t token = 1;
    IntentFFI intent = {.raw_input = "x"};
    for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++) {
        ConstraintIRFFI constraint = one_regex(&letters);
        CHECK_FAILS(compile(&constraint, absurd[i]), MAZE_LIMIT_EXCEEDED, "constraints_len is");
        constraint.regex_patterns_len = absurd[i];
        CHECK_FAILS(compile(&constraint, 1), MAZE_LIMIT_EXCEEDED, "constraints[0].regex_patterns_len is");
        TokenMaskRulesFFI masks = {.allowed_tokens = &token, .allowed_tokens_len = absurd[i]};
        constraint = (ConstraintIRFFI){.magic = MAZE_CONSTRAINT_MAGIC, .token_masks = &masks};
        CHECK_FAILS(compile(&constraint, 1), MAZE_LIMIT_EXCEEDED, "token_masks.allowed_tokens_len is");
        masks = (TokenMaskRulesFFI){.forbidden_tokens = &token, .forbidden_tokens_len = absurd[i]};
        CHECK_FAILS(compile(&constraint, 1), MAZE_LIMIT_EXCEEDED, "token_masks.forbidden_tokens_len is");
        GenerationResultFFI *untouched = NULL;
        CHECK(maze_generate_batch(&intent, absurd[i], NULL, 0, NULL, &untouched) == MAZE_LIMIT_EXCEEDED);
        CHECK(untouched == NULL);
    }
    CHECK_FAILS(maze_validate("x", SIZE_MAX, NULL, 0, NULL, NULL), MAZE_LIMIT_EXCEEDED, "text_len is");
    CHECK_FAILS(maze_validate("x", MAZE_MAX_TEXT_BYTES + 1, NULL, 0, NULL, NULL), MAZE_LIMIT_EXCEEDED, "text_len is");
}

static void a_text_without_an_end_is_read_no_further_than_its_limit(void)
{
    char *endless = text_at_edge(MAZE_MAX_TEXT_BYTES + 1);
    memset(endless, 'a', MAZE_MAX_TEXT_BYTES + 1);
    ConstraintIRFFI constraint = {.magic = MAZE_CONSTRAINT_MAGIC, .json_schema = endless};
    CHECK_FAILS(compile(&constraint, 1), MAZE_LIMIT_EXCEEDED, "constraints[0].json_schema is longer than 67108864");
    constraint = (ConstraintIRFFI){.magic = MAZE_CONSTRAINT_MAGIC, .name = endless};
    CHECK_FAILS(compile(&constraint, 1), MAZE_LIMIT_EXCEEDED, "constraints[0].name is longer");
    constraint = one_regex((const char *const *)&endless);
    CHECK_FAILS(compile(&constraint, 1), MAZE_LIMIT_EXCEEDED, "constraints[0].regex_patterns[0] is longer");
    IntentFFI intent = {.raw_input = endless};
    CHECK_FAILS(maze_generate(&intent, NULL, 0), MAZE_LIMIT_EXCEEDED, "intent.raw_input is longer");
    CHECK_FAILS(maze_compile_constraints(NULL, 0, endless, NULL), MAZE_LIMIT_EXCEEDED, "language is longer");
}

static void texts_are_not_read_beyond_their_end(void)
{
    char *schema = text_at_edge(sizeof "{\"type\":\"integer\"}");
    strcpy(schema, "{\"type\":\"integer\"}");
    ConstraintIRFFI *constraint = (ConstraintIRFFI *)text_at_edge(sizeof *constraint);
    *constraint = (ConstraintIRFFI){.magic = MAZE_CONSTRAINT_MAGIC, .json_schema = schema};
    CHECK_SUCCEEDS(compile(constraint, 1));
    char *text = text_at_edge(3);
    memcpy(text, "123", 3);
    CHECK_SUCCEEDS(maze_validate(text, 3, constraint, 1, NULL, NULL));
}

static void a_whole_language_is_a_grammar_and_says_what_it_expects(void)
{
    ConstraintIRFFI constraint = {.magic = MAZE_CONSTRAINT_MAGIC, .grammar = "%language c"};
    const char *right = "int x = 1;\n", *wrong = "int x = 1;\nint y = ;\n";
    CHECK_SUCCEEDS(maze_validate(right, strlen(right), &constraint, 1, NULL, NULL));
    CHECK_FAILS(maze_validate(wrong, strlen(wrong), &constraint, 1, NULL, NULL), MAZE_CONSTRAINT_VIOLATED,
                "byte 19 (line 2, column 9): found ';', expected an expression or '{'");
}

static void magic_is_checked_with_its_index(void)
{
    ConstraintIRFFI constraints[3] = {one_regex(&letters), one_regex(&letters), one_regex(&letters)};
    constraints[1].magic = 0x1234;
    CHECK_FAILS(compile(constraints, 3), MAZE_INVALID_ARGUMENT,
                "constraints[1] is no constraint (its magic is 0x0000000000001234");
    constraints[1].magic = 0;
    CHECK_FAILS(compile(constraints, 3), MAZE_INVALID_ARGUMENT, "constraints[1] is no constraint");
    constraints[1].magic = MAZE_CONSTRAINT_MAGIC;
    constraints[2].magic = MAZE_CONSTRAINT_FREED_MAGIC;
    CHECK_FAILS(compile(constraints, 3), MAZE_INVALID_ARGUMENT, "constraints[2] was freed before");
    /* An array of pointers in place of structs is the likeliest mistake. */
    const ConstraintIRFFI *pointers[8] = {&constraints[0]};
    CHECK_FAILS(compile((const ConstraintIRFFI *)(const void *)pointers, 1), MAZE_INVALID_ARGUMENT,
                "structs, not of pointers");
}

static void invalid_utf8_is_named_with_field_and_byte(void)
{
    const char *patterns[2] = {letters, "abc\xff"};
    ConstraintIRFFI constraint = one_regex(patterns);
    constraint.regex_patterns_len = 2;
    CHECK_FAILS(compile(&constraint, 1), MAZE_INVALID_ARGUMENT,
                "constraints[0].regex_patterns[1]: invalid UTF-8 at byte 3 (0xff)");
    constraint = (ConstraintIRFFI){.magic = MAZE_CONSTRAINT_MAGIC, .json_schema = "{\"\xc3\x28\":1}"};
    CHECK_FAILS(compile(&constraint, 1), MAZE_INVALID_ARGUMENT, "constraints[0].json_schema: invalid UTF-8 at byte 2");
    /* Encoded surrogates, overlong forms and cut off sequences are not UTF-8. */
    constraint = (ConstraintIRFFI){.magic = MAZE_CONSTRAINT_MAGIC, .grammar = "\xed\xa0\x80"};
    CHECK_FAILS(compile(&constraint, 1), MAZE_INVALID_ARGUMENT, "constraints[0].grammar: invalid UTF-8 at byte 0");
    constraint.grammar = "ab\xc0\xaf";
    CHECK_FAILS(compile(&constraint, 1), MAZE_INVALID_ARGUMENT, "constraints[0].grammar: invalid UTF-8 at byte 2");
    constraint.grammar = "abc\xe2\x82";
    CHECK_FAILS(compile(&constraint, 1), MAZE_INVALID_ARGUMENT, "constraints[0].grammar: invalid UTF-8 at byte 3");
    CHECK_FAILS(maze_compile_constraints(NULL, 0, "c\x80", NULL), MAZE_INVALID_ARGUMENT,
                "language: invalid UTF-8 at byte 1");

    IntentFFI intent = {.raw_input = "\xff"};
    CHECK_FAILS(maze_generate(&intent, NULL, 0), MAZE_INVALID_ARGUMENT, "intent.raw_input: invalid UTF-8 at byte 0");
    intent = (IntentFFI){.raw_input = "x", .prompt = "x\xff"};
    CHECK_FAILS(maze_generate(&intent, NULL, 0), MAZE_INVALID_ARGUMENT, "intent.prompt: invalid UTF-8 at byte 1");
    intent = (IntentFFI){.raw_input = "x", .current_file = "xx\xff"};
    CHECK_FAILS(maze_generate(&intent, NULL, 0), MAZE_INVALID_ARGUMENT, "intent.current_file: invalid UTF-8 at byte 2");
    intent = (IntentFFI){.raw_input = "x", .language = "xxx\xff"};
    CHECK_FAILS(maze_generate(&intent, NULL, 0), MAZE_INVALID_ARGUMENT, "intent.language: invalid UTF-8 at byte 3");

    intent = (IntentFFI){.raw_input = "x"};
    const char *stop[1] = {"a\xff"};
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.model = "\xff";
    CHECK_FAILS(maze_generate_with(&intent, NULL, 0, &options), MAZE_INVALID_ARGUMENT, "options.model: invalid UTF-8");
    options.model = NULL;
    options.stop = stop;
    options.stop_len = 1;
    CHECK_FAILS(maze_generate_with(&intent, NULL, 0, &options), MAZE_INVALID_ARGUMENT,
                "options.stop[0]: invalid UTF-8 at byte 1");
}

static void a_label_ends_where_it_is_not_utf8(void)
{
    ConstraintIRFFI constraint = one_regex(&letters);
    constraint.name = "compiled_ir_p109\xaa\xaa\xaa\xaa"; /* as a Debug build of Braid leaves it */
    GenerationResultFFI *result = compile(&constraint, 1);
    CHECK(strstr(maze_result_json(result), "\"compiled_ir_p109\"") != NULL);
    CHECK_SUCCEEDS(result);
    constraint.name = "\xff";
    result = compile(&constraint, 1);
    CHECK(strstr(maze_result_json(result), "\"name\":\"\"") != NULL);
    CHECK_SUCCEEDS(result);
}

static void control_characters_come_back_escaped(void)
{
    ConstraintIRFFI constraint = one_regex(&letters);
    constraint.name = "\x01\x1b[31m\n\"\\";
    GenerationResultFFI *result = compile(&constraint, 1);
    CHECK(strstr(maze_result_json(result), "\"\\u0001\\u001b[31m\\n\\\"\\\\\"") != NULL);
    CHECK_SUCCEEDS(result);
}

static void options_out_of_range_are_named(void)
{
    IntentFFI intent = {.raw_input = "x"};
    const char *stops[5] = {"a", "b", "c", "d", "e"};
    const char *no_text[1] = {""};
    char long_text[1026] = {0}, *too_long = memset(long_text, 'a', 1025);
#define CHECK_OPTION(assignment, part)                                                                                 \
    do {                                                                                                               \
        MazeOptionsFFI options = MAZE_OPTIONS_INIT;                                                                    \
        assignment;                                                                                                    \
        CHECK_FAILS(maze_generate_with(&intent, NULL, 0, &options), MAZE_INVALID_ARGUMENT, part);                      \
    } while (0)
    CHECK_OPTION(options.temperature = NAN, "options.temperature is nan");
    CHECK_OPTION(options.temperature = 2.5, "options.temperature is 2.5");
    CHECK_OPTION(options.temperature = INFINITY, "options.temperature is inf");
    CHECK_OPTION(options.top_p = NAN, "options.top_p is nan");
    CHECK_OPTION(options.top_p = 1.5, "options.top_p is 1.5");
    CHECK_OPTION(options.top_p = 0, "options.top_p is 0");
    CHECK_OPTION(options.top_k = UINT32_MAX, "options.top_k is 4294967295");
    CHECK_OPTION(options.seed = 4294967296, "options.seed is 4294967296");
    CHECK_OPTION(options.on_unenforceable = 2, "options.on_unenforceable is 2");
    CHECK_OPTION((options.stop = stops, options.stop_len = 5), "options.stop_len is 5");
    CHECK_OPTION((options.stop = stops, options.stop_len = SIZE_MAX), "options.stop_len is");
    CHECK_OPTION(options.stop_len = 1, "options.stop is NULL");
    CHECK_OPTION((options.stop = (const char *const *)&too_long, options.stop_len = 1), "options.stop[0] has 1025 bytes");
    CHECK_OPTION((options.stop = no_text, options.stop_len = 1), "empty text");
    CHECK_OPTION(options.prompt_form = 3, "options.prompt_form is 3; give one of MazePromptForm");
    CHECK_OPTION(options.when_cut_off = 3, "options.when_cut_off is 3; give one of MazeWhenCutOff");
    CHECK_OPTION(options.max_attempts = 101, "options.max_attempts is 101");
    CHECK_OPTION(options.on_conflict = 2, "options.on_conflict is 2; give one of MazeConflict");
    CHECK_OPTION(options.braid_grammar = 4, "options.braid_grammar is 4; give one of MazeBraidGrammar");
    CHECK_OPTION(options.ignore_len = 1, "options.ignore is NULL, but options.ignore_len is 1");
    CHECK_OPTION((options.ignore = no_text, options.ignore_len = 1), "options.ignore[0] is ''; it must be a kind (");
    CHECK_OPTION(options.top_logprobs = 21, "options.top_logprobs is 21");
    CHECK_OPTION(options.describe_constraints = 5, "options.describe_constraints is 5; give 1 for yes, 0 for no, or -1");
    CHECK_OPTION(options.describe_constraints = INT32_MAX, "options.describe_constraints is 2147483647");
    CHECK_OPTION(options.on_unenforceable = UINT32_MAX, "options.on_unenforceable is 4294967295");
    CHECK_OPTION(options.prompt_form = UINT32_MAX, "options.prompt_form is 4294967295");
    CHECK_OPTION(options.when_cut_off = UINT32_MAX, "options.when_cut_off is 4294967295");
#undef CHECK_OPTION
}

static void a_wrong_message_is_named_with_its_index(void)
{
    IntentFFI intent = {.raw_input = "x"};
    MazeMessageFFI messages[2] = {{MAZE_ROLE_USER, "a"}, {MAZE_ROLE_ASSISTANT, "b\xff"}};
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.messages = messages;
    options.messages_len = 2;
    CHECK_FAILS(maze_generate_with(&intent, NULL, 0, &options), MAZE_INVALID_ARGUMENT,
                "options.messages[1].text: invalid UTF-8 at byte 1");
    messages[1].text = NULL;
    CHECK_FAILS(maze_generate_with(&intent, NULL, 0, &options), MAZE_INVALID_ARGUMENT,
                "options.messages[1].text is NULL");
    messages[1] = (MazeMessageFFI){2, "b"};
    CHECK_FAILS(maze_generate_with(&intent, NULL, 0, &options), MAZE_INVALID_ARGUMENT,
                "options.messages[1].role is 2; give one of MazeRole");
    options.messages = NULL;
    CHECK_FAILS(maze_generate_with(&intent, NULL, 0, &options), MAZE_INVALID_ARGUMENT,
                "options.messages is NULL, but options.messages_len is 2");
    options.messages = messages;
    options.messages_len = MAZE_MAX_ARRAY_LENGTH + 1;
    CHECK_FAILS(maze_generate_with(&intent, NULL, 0, &options), MAZE_LIMIT_EXCEEDED, "options.messages_len is");
    options.messages_len = 0;
    options.system = "xy\xff";
    CHECK_FAILS(maze_generate_with(&intent, NULL, 0, &options), MAZE_INVALID_ARGUMENT,
                "options.system: invalid UTF-8 at byte 2");
    options.system = NULL;
    options.continue_from = "\xff";
    CHECK_FAILS(maze_generate_with(&intent, NULL, 0, &options), MAZE_INVALID_ARGUMENT,
                "options.continue_from: invalid UTF-8 at byte 0");
}

static void a_wrong_configuration_is_named(void)
{
#define CHECK_CONFIG(assignment, part)                                                                                 \
    do {                                                                                                               \
        MazeConfigFFI config = MAZE_CONFIG_INIT;                                                                       \
        assignment;                                                                                                    \
        CHECK_FAILS(maze_init(&config), MAZE_CONFIGURATION, part);                                                     \
    } while (0)
    CHECK_CONFIG(config.endpoint = "nowhere", "config.endpoint");
    CHECK_CONFIG((config.endpoint = "http://x", config.api_key = "a\nb"), "config.api_key");
    CHECK_CONFIG((config.endpoint = "http://x", config.dialect = "latin"), "config.dialect");
    CHECK_CONFIG(config.local_model = "/nowhere.gguf", "config.local_model");
    CHECK_CONFIG(config.log_filter = "maze=loud", "config.log_filter");
    CHECK_CONFIG(config.temperature = 3, "config.temperature");
    CHECK_CONFIG(config.temperature = NAN, "config.temperature");
    CHECK_CONFIG(config.prompt_form = 3, "config.prompt_form is 3");
    CHECK_CONFIG(config.max_attempts = 101, "config.max_attempts is 101");
    CHECK_CONFIG(config.enable_cache = 2, "config.enable_cache is 2; give 1 for yes, 0 for no, or -1");
    setenv("MAZE_PROMPT", "cooked", 1);
    CHECK_CONFIG(config.max_attempts = 1, "MAZE_PROMPT is 'cooked'; it must be one of chat, raw");
    MazeConfigFFI config = MAZE_CONFIG_INIT;
    config.prompt_form = MAZE_PROMPT_FORM_RAW; /* the environment does not count then */
    CHECK_SUCCEEDS(maze_init(&config));
    maze_shutdown();
#undef CHECK_CONFIG
}

static void configuring_twice_is_an_error_until_shutdown(void)
{
    CHECK_SUCCEEDS(maze_init(NULL));
    CHECK_FAILS(maze_init(NULL), MAZE_CONFIGURATION, "configured already");
    maze_shutdown();
    CHECK_SUCCEEDS(compile(NULL, 0));
    CHECK_FAILS(maze_init(NULL), MAZE_CONFIGURATION, "configured already");
    maze_shutdown();
    MazeConfigFFI config = MAZE_CONFIG_INIT;
    config.enable_cache = 0;
    CHECK_SUCCEEDS(maze_init(&config));
}

static void the_environment_is_read_when_it_is_needed(void)
{
    CHECK_SUCCEEDS(compile(NULL, 0));
    maze_shutdown();
    /* Python's own copy of the environment was made before this. */
    setenv("MODAL_ENDPOINT", "nowhere", 1);
    CHECK_FAILS(compile(NULL, 0), MAZE_CONFIGURATION, "MODAL_ENDPOINT");
    unsetenv("MODAL_ENDPOINT");
    CHECK_SUCCEEDS(compile(NULL, 0));
}

static void the_cache_counts_and_forgets(void)
{
    ConstraintIRFFI constraint = one_regex(&letters);
    MazeCacheStatsFFI stats = {.struct_size = sizeof stats};
    CHECK_SUCCEEDS(compile(&constraint, 1));
    CHECK_SUCCEEDS(compile(&constraint, 1));
    CHECK(maze_cache_stats(&stats) == MAZE_OK);
    CHECK(stats.hits == 1 && stats.misses == 1 && stats.entries == 1 && stats.bytes > 0 && stats.evictions == 0);
    CHECK(maze_clear_cache() == MAZE_OK);
    CHECK(maze_cache_stats(&stats) == MAZE_OK);
    CHECK(stats.hits == 1 && stats.misses == 1 && stats.entries == 0);
    /* The pointers are the same, the bytes are not. */
    const char *digits = "^[0-9]+$";
    char pattern[] = "^[a-z]+$";
    const char *pointer = pattern;
    constraint = one_regex(&pointer);
    CHECK_SUCCEEDS(compile(&constraint, 1));
    memcpy(pattern, digits, sizeof pattern);
    CHECK_SUCCEEDS(maze_validate("123", 3, &constraint, 1, NULL, NULL));
    CHECK_FAILS(maze_validate("abc", 3, &constraint, 1, NULL, NULL), MAZE_CONSTRAINT_VIOLATED, "constraints[0]");
}

static void a_hundred_thousand_constraints_are_taken(void)
{
    enum { MANY = 100000 };
    ConstraintIRFFI *constraints = calloc(MANY, sizeof *constraints);
    CHECK(constraints != NULL);
    for (size_t i = 0; i < MANY; i++)
        constraints[i].magic = MAZE_CONSTRAINT_MAGIC;
    CHECK_SUCCEEDS(compile(constraints, MANY));
    free(constraints);
}

static void a_text_with_nul_bytes_can_be_validated(void)
{
    ConstraintIRFFI constraint = one_regex(&letters);
    CHECK_FAILS(maze_validate("abc\0def", 7, &constraint, 1, NULL, NULL), MAZE_CONSTRAINT_VIOLATED, "at byte 3");
}

SCENARIOS(SCENARIO(null_pointers_are_named), SCENARIO(null_pointers_that_may_be_null_are_taken),
          SCENARIO(a_length_without_a_pointer_is_an_error),
          SCENARIO(an_absurd_length_is_refused_before_anything_is_read),
          SCENARIO(a_text_without_an_end_is_read_no_further_than_its_limit),
          SCENARIO(texts_are_not_read_beyond_their_end),
          SCENARIO(a_whole_language_is_a_grammar_and_says_what_it_expects), SCENARIO(magic_is_checked_with_its_index),
          SCENARIO(invalid_utf8_is_named_with_field_and_byte),
          SCENARIO(a_label_ends_where_it_is_not_utf8),
          SCENARIO(control_characters_come_back_escaped), SCENARIO(options_out_of_range_are_named),
          SCENARIO(a_wrong_message_is_named_with_its_index), SCENARIO(a_wrong_configuration_is_named),
          SCENARIO(configuring_twice_is_an_error_until_shutdown),
          SCENARIO(the_environment_is_read_when_it_is_needed), SCENARIO(the_cache_counts_and_forgets),
          SCENARIO(a_hundred_thousand_constraints_are_taken), SCENARIO(a_text_with_nul_bytes_can_be_validated))
