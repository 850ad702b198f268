/*
 * libFuzzer target: builds the structs of maze.h from an input, calls the library, and holds it to what the header says.
 *
 * An input is a list of records, parted by the byte 0x1E; the first byte of a record is its tag (fuzz_case.py writes
 * them). Every text and array lies in a block of exactly its size, so that AddressSanitizer sees each read beyond it.
 */
#include <maze.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_CONSTRAINTS = 8, MAX_PATTERNS = 8, MAX_BLOCKS = 256, SEPARATOR = 0x1E };

/* Of processor time for one call, so that a busy machine is no finding. A check gives itself 10 s and its last step. */
enum { MAX_CALL_SECS = 12 };

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: promise broken: %s\n", __FILE__, __LINE__, #condition);                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/*
 * What the library's Python part does is invisible to the coverage of C. Every new kind of answer counts as new
 * coverage instead, so inputs that reach another error or another handling of a constraint are kept and varied.
 */
/* volatile: only libFuzzer reads it, and finds it by its section. */
__attribute__((section("__libfuzzer_extra_counters"))) static volatile unsigned char kinds_of_answers[16384];

typedef struct Case {
    ConstraintIRFFI constraints[MAX_CONSTRAINTS];
    TokenMaskRulesFFI masks[MAX_CONSTRAINTS];
    const char *patterns[MAX_CONSTRAINTS][MAX_PATTERNS];
    size_t constraints_len;
    size_t constraints_shown; /* length that the library is told */
    bool constraints_null;
    const char *text;
    size_t text_len;
    const char *language;
    MazeOptionsFFI options;
    MazeMessageFFI message;
    bool has_options;
    IntentFFI intent;
    bool has_intent;
    void *blocks[MAX_BLOCKS];
    size_t blocks_len;
} Case;

static void *own(Case *the, const void *bytes, size_t len, size_t extra)
{
    if (the->blocks_len == MAX_BLOCKS)
        return NULL;
    char *block = malloc(len + extra > 0 ? len + extra : 1);
    REQUIRE(block != NULL);
    memcpy(block, bytes, len);
    memset(block + len, 0, extra);
    return the->blocks[the->blocks_len++] = block;
}

static const char *own_text(Case *the, const uint8_t *bytes, size_t len)
{
    return own(the, bytes, len, 1);
}

static uint64_t number(const uint8_t *bytes, size_t len)
{
    uint64_t value = 0;
    memcpy(&value, bytes, len < sizeof value ? len : sizeof value);
    return value;
}

/* A length that may be told of an array of `len`: no longer than it, or over the limit and so never read. */
static size_t told_length(uint64_t wanted, size_t len)
{
    if (len > MAZE_MAX_ARRAY_LENGTH)
        return len; /* told already */
    return wanted <= len || wanted > MAZE_MAX_ARRAY_LENGTH ? (size_t)wanted : (size_t)(wanted % (len + 1));
}

static void read_tokens(Case *the, const uint8_t *bytes, size_t len, const uint32_t **tokens, size_t *tokens_len)
{
    *tokens = own(the, bytes, len - len % 4, 0);
    *tokens_len = *tokens == NULL ? 0 : len / 4;
}

/* A wrong pointer or length, at the last constraint. */
static void read_fault(Case *the, uint8_t tag, const uint8_t *bytes, size_t len, ConstraintIRFFI *constraint,
                       TokenMaskRulesFFI *masks)
{
    if (len == 0)
        return;
    bool null = tag == '0';
    uint64_t wanted = number(bytes + 1, len - 1);
    switch (bytes[0]) {
    case 'c':
        the->constraints_null = the->constraints_null || null;
        the->constraints_shown = null ? the->constraints_len : told_length(wanted, the->constraints_len);
        break;
    case 'r':
        if (null)
            constraint->regex_patterns = NULL;
        else
            constraint->regex_patterns_len = told_length(wanted, constraint->regex_patterns_len);
        break;
    case 'R':
        if (constraint->regex_patterns != NULL && constraint->regex_patterns_len - 1 < MAX_PATTERNS)
            ((const char **)(uintptr_t)constraint->regex_patterns)[constraint->regex_patterns_len - 1] = NULL;
        break;
    case 'a':
        if (null)
            masks->allowed_tokens = NULL;
        else
            masks->allowed_tokens_len = told_length(wanted, masks->allowed_tokens_len);
        break;
    case 'f':
        if (null)
            masks->forbidden_tokens = NULL;
        else
            masks->forbidden_tokens_len = told_length(wanted, masks->forbidden_tokens_len);
        break;
    case 't':
        if (null)
            the->text = NULL;
        else
            the->text_len = wanted > MAZE_MAX_TEXT_BYTES ? wanted : 0;
        break;
    default:
        break;
    }
}

static void read_options(Case *the, const uint8_t *bytes, size_t len)
{
    the->has_options = true;
    if (len > 0)
        the->options.on_unenforceable = bytes[0] & 0x0F;
    if (len > 1)
        the->options.struct_size = bytes[1] < sizeof the->options ? bytes[1] : sizeof the->options;
    if (len > 2)
        the->options.top_k = (uint32_t)number(bytes + 2, len - 2 < 4 ? len - 2 : 4);
    if (len > 6)
        memcpy(&the->options.temperature, bytes + 6, len - 6 < 8 ? len - 6 : 8);
    if (len > 14)
        memcpy(&the->options.top_p, bytes + 14, len - 14 < 8 ? len - 14 : 8);
    if (len > 22)
        memcpy(&the->options.seed, bytes + 22, len - 22 < 8 ? len - 22 : 8);
    if (len > 30) {
        enum { NUMBERS = sizeof the->options - offsetof(MazeOptionsFFI, prompt_form) };
        unsigned char *numbers = (unsigned char *)&the->options + offsetof(MazeOptionsFFI, prompt_form);
        memcpy(numbers, bytes + 30, len - 30 < NUMBERS ? len - 30 : NUMBERS);
    }
    if (len > 54) {
        the->message = (MazeMessageFFI){bytes[54], own_text(the, bytes + 55, len - 55)};
        the->options.messages = &the->message;
        the->options.messages_len = 1;
        the->options.system = the->options.continue_from = the->message.text;
    }
}

static void read_intent(Case *the, const uint8_t *bytes, size_t len)
{
    the->has_intent = true;
    if (len == 0)
        return;
    const char *text = own_text(the, bytes + 1, len - 1);
    switch (bytes[0]) {
    case 'r':
        the->intent.raw_input = text;
        break;
    case 'p':
        the->intent.prompt = text;
        break;
    case 'f':
        the->intent.current_file = text;
        break;
    case 'l':
        the->intent.language = text;
        break;
    default:
        break;
    }
}

static void read_record(Case *the, const uint8_t *bytes, size_t len)
{
    uint8_t tag = bytes[0];
    bytes++, len--;
    if (tag == 'c' || the->constraints_len == 0) {
        if (the->constraints_len == MAX_CONSTRAINTS)
            return;
        the->constraints[the->constraints_len++] = (ConstraintIRFFI){.magic = MAZE_CONSTRAINT_MAGIC};
        the->constraints_shown = the->constraints_len;
    }
    size_t last = the->constraints_len - 1;
    ConstraintIRFFI *constraint = &the->constraints[last];
    TokenMaskRulesFFI *masks = &the->masks[last];
    switch (tag) {
    case 's':
        constraint->json_schema = own_text(the, bytes, len);
        break;
    case 'g':
        constraint->grammar = own_text(the, bytes, len);
        break;
    case 'r':
        if (constraint->regex_patterns_len < MAX_PATTERNS) {
            constraint->regex_patterns = the->patterns[last];
            the->patterns[last][constraint->regex_patterns_len++] = own_text(the, bytes, len);
        }
        break;
    case 'n':
        constraint->name = own_text(the, bytes, len);
        break;
    case 'p':
        constraint->priority = (uint32_t)number(bytes, len < 4 ? len : 4);
        break;
    case 'a':
        constraint->token_masks = masks;
        read_tokens(the, bytes, len, &masks->allowed_tokens, &masks->allowed_tokens_len);
        break;
    case 'f':
        constraint->token_masks = masks;
        read_tokens(the, bytes, len, &masks->forbidden_tokens, &masks->forbidden_tokens_len);
        break;
    case 'm':
        constraint->magic = number(bytes, len);
        break;
    case 'l':
        the->language = own_text(the, bytes, len);
        break;
    case 't':
        the->text = own(the, bytes, len, 0);
        the->text_len = the->text == NULL ? 0 : len;
        break;
    case 'o':
        read_options(the, bytes, len);
        break;
    case 'i':
        read_intent(the, bytes, len);
        break;
    case '0':
    case 'L':
        read_fault(the, tag, bytes, len, constraint, masks);
        break;
    default:
        break;
    }
}

static void read_case(Case *the, const uint8_t *data, size_t size)
{
    the->options = (MazeOptionsFFI)MAZE_OPTIONS_INIT;
    for (size_t start = 0; start < size;) {
        const uint8_t *end = memchr(data + start, SEPARATOR, size - start);
        size_t len = end == NULL ? size - start : (size_t)(end - data) - start;
        if (len > 0)
            read_record(the, data + start, len);
        start += len + 1;
    }
}

/* ------------------------------------------------------------------------------------------------- JSON */

/* Skip one JSON value; NULL if there is none. */
static const char *skip_value(const char *at, int depth)
{
    if (depth > 100)
        return NULL;
    if (*at == '{' || *at == '[') {
        char closing = *at == '{' ? '}' : ']';
        if (*++at == closing)
            return at + 1;
        for (;; at++) {
            if (closing == '}') {
                at = *at == '"' ? skip_value(at, depth) : NULL;
                if (at == NULL || *at++ != ':')
                    return NULL;
                at += strspn(at, " ");
            }
            at = skip_value(at, depth + 1);
            if (at == NULL || (*at != ',' && *at != closing))
                return NULL;
            if (*at == closing)
                return at + 1;
            at += strspn(at + 1, " ");
        }
    }
    if (*at == '"') {
        for (at++; *at != '"'; at++) {
            if (*at == '\\')
                at++;
            if ((unsigned char)*at < 0x20)
                return NULL;
        }
        return at + 1;
    }
    size_t len = strspn(at, "+-.0123456789eEtrufalsn");
    return len > 0 ? at + len : NULL;
}

static bool is_json_object(const char *json)
{
    const char *end = json[0] == '{' ? skip_value(json, 0) : NULL;
    return end != NULL && *end == '\0';
}

/* --------------------------------------------------------------------------------------------- promises */

static void note_kind(const char *text, uint32_t hash)
{
    bool quoted = false;
    for (size_t i = 0; text[i] != '\0' && i < 400; i++) {
        char letter = text[i];
        if (letter == '\'' || letter == '"')
            quoted = !quoted;
        else if (!quoted && ((letter >= 'a' && letter <= 'z') || letter == '_' || letter == ' '))
            hash = (hash ^ (unsigned char)letter) * 16777619u;
    }
    kinds_of_answers[hash % sizeof kinds_of_answers] = 1;
}

/* Each kind of constraint with what became of it is a kind of answer. */
static void note_handlings(const char *json)
{
    static const char mark[] = "\"kind\":\"";
    for (const char *at = strstr(json, mark); at != NULL; at = strstr(at + 1, mark)) {
        char part[64] = {0};
        memcpy(part, at, strnlen(at, sizeof part - 1));
        for (char *letter = part; *letter != '\0'; letter++)
            if (*letter == '"')
                *letter = ' ';
        note_kind(part, 7);
    }
}

/* So are three characters that follow one another in the grammar that was made; all letters count as one. */
static void note_grammar(const char *code)
{
    uint32_t last = 0;
    for (size_t i = 0; code[i] != '\0' && i < 2000; i++) {
        unsigned char letter = (unsigned char)code[i];
        if (letter >= '0' && letter <= '9')
            letter = '0';
        else if ((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || letter >= 0x80)
            letter = 'a';
        last = (last << 8 | letter) & 0xFFFFFF;
        kinds_of_answers[(last * 2654435761u >> 8) % sizeof kinds_of_answers] = 1;
    }
}

/* When the call began whose result is checked next. */
static clock_t called;
#define CALL(call) (called = clock(), (call))

/* Hold a result to what maze.h says of every result, and give it back; twice, which is harmless. */
static MazeStatus check(GenerationResultFFI *result, uint32_t function)
{
    REQUIRE((clock() - called) / CLOCKS_PER_SEC < MAX_CALL_SECS);
    REQUIRE(result != NULL);
    REQUIRE(result->code != NULL);
    MazeStatus status = maze_result_status(result);
    REQUIRE(result->success == (status == MAZE_OK));
    REQUIRE(result->success == (result->error == NULL));
    REQUIRE(result->success || strncmp(result->error, "libmaze: ", 9) == 0);
    REQUIRE(strcmp(maze_status_name(status), "MAZE_UNKNOWN") != 0);
    if (status == MAZE_INTERNAL_ERROR || status == MAZE_OUT_OF_MEMORY || status == MAZE_STARTUP_FAILED)
        fprintf(stderr, "%s\n", result->error);
    REQUIRE(status != MAZE_INTERNAL_ERROR && status != MAZE_OUT_OF_MEMORY && status != MAZE_STARTUP_FAILED);
    const char *json = maze_result_json(result);
    REQUIRE(json != NULL && is_json_object(json));
    note_kind(result->error != NULL ? result->error : "", function * 31u + (uint32_t)status);
    note_handlings(json);
    if (status == MAZE_OK)
        note_grammar(result->code);

    maze_free_result(result);
    REQUIRE(maze_result_status(result) == MAZE_INVALID_ARGUMENT);
    REQUIRE(strcmp(maze_result_json(result), "{}") == 0);
    maze_free_result(result);
    return status;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    /* Nobody listens there: maze_generate() is called for what it does before it reaches an engine. */
    MazeConfigFFI config = MAZE_CONFIG_INIT;
    config.endpoint = "http://127.0.0.1:9";
    config.dialect = "maze";
    config.log_filter = "";
    config.cache_size_limit = 64;
    GenerationResultFFI *result = maze_init(&config);
    if (!result->success) {
        fprintf(stderr, "%s\n", result->error);
        exit(1);
    }
    maze_free_result(result);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Case *the = calloc(1, sizeof *the);
    REQUIRE(the != NULL);
    read_case(the, data, size);
    size_t len = the->constraints_shown;
    const MazeOptionsFFI *options = the->has_options ? &the->options : NULL;
    const ConstraintIRFFI *constraints =
        the->constraints_null ? NULL : own(the, the->constraints, the->constraints_len * sizeof *constraints, 0);
    if (constraints == NULL && !the->constraints_null)
        len = 0;

    MazeStatus compiled = check(CALL(maze_compile_constraints(constraints, len, the->language, options)), 1);
    MazeStatus again = check(CALL(maze_compile_constraints(constraints, len, the->language, options)), 1);
    REQUIRE(compiled == again);
    GenerationResultFFI *validation =
        CALL(maze_validate(the->text, the->text_len, constraints, len, the->language, options));
    MazeStatus valid = check(validation, 2);
    REQUIRE(compiled == MAZE_OK || valid != MAZE_OK);
    if (the->has_intent) {
        the->options.timeout_ms = 1;
        MazeStatus made = check(CALL(maze_generate_with(&the->intent, constraints, len, &the->options)), 3);
        REQUIRE(made != MAZE_OK);
    }

    for (size_t i = 0; i < the->blocks_len; i++)
        free(the->blocks[i]);
    free(the);
    return 0;
}
