/*
 * Structs that may grow: how struct_size is understood, for all of them. See "ABI" in include/maze.h.
 *
 * To add a field: append it to the struct in maze.h, without padding before or after it; its default to the struct's
 * MAZE_..._INIT; then follow the compiler and the tests. Hosts that were linked with an earlier maze_options_init() have
 * a struct of its size: that one stays as it was, and the larger one gets a new symbol version in libmaze.map.
 */
#include "structs.h"

#include <stdio.h>
#include <string.h>

/*
 * Of hosts, struct_size is the sizeof of a struct whose fields are aligned to their size, so a multiple of 8; such a size
 * cuts no field in two. 8 is none: there is nothing in such a struct, and it is what sizeof makes of a pointer.
 */
enum { UNIT = 8, SMALLEST = 2 * UNIT, LARGEST = 4096 };

static bool is_size(size_t size)
{
    return size >= SMALLEST && size <= LARGEST && size % UNIT == 0;
}

/* `ours` holds the defaults, in `known` bytes. `name` is "options" or "config", `init` what to begin with. */
static bool read_struct(const void *given, void *ours, size_t known, const char *name, const char *init,
                        EmbedProblem *problem)
{
    const unsigned char *bytes = given;
    size_t size;
    memcpy(&size, given, sizeof size);
    problem->status = MAZE_INVALID_ARGUMENT;
    if (!is_size(size)) {
        snprintf(problem->text, sizeof problem->text, "libmaze: %s.struct_size is %zu; begin with %s, which makes it %zu",
                 name, size, init, known);
        return false;
    }
    for (size_t i = known; i < size; i++) {
        if (bytes[i] != 0) {
            snprintf(problem->text, sizeof problem->text,
                     "libmaze: %s sets a field that this version of libmaze does not have: struct_size is %zu, known "
                     "are %zu bytes; update libmaze, or leave later fields 0",
                     name, size, known);
            return false;
        }
    }
    memcpy(ours, given, size < known ? size : known);
    return true;
}

void maze_options_init(MazeOptionsFFI *options)
{
    if (options != NULL)
        *options = (MazeOptionsFFI)MAZE_OPTIONS_INIT;
}

void maze_config_init(MazeConfigFFI *config)
{
    if (config != NULL)
        *config = (MazeConfigFFI)MAZE_CONFIG_INIT;
}

#if defined(__ELF__) /* elsewhere there were none, and symbols have no versions */
/* The same for hosts with an earlier header. That with the first fields alone has the symbol version MAZE_1, that with
 * the options up to top_logprobs MAZE_1.1. */
#define FOR_HOSTS_OF(version, name, symbol)                                                                            \
    __asm__(".symver " #symbol ", " #name "@" #version);                                                               \
    __attribute__((visibility("default"))) void symbol

FOR_HOSTS_OF(MAZE_1, maze_options_init, structs_init_first_options)(MazeOptionsFFI *options);
FOR_HOSTS_OF(MAZE_1.1, maze_options_init, structs_init_second_options)(MazeOptionsFFI *options);
FOR_HOSTS_OF(MAZE_1, maze_config_init, structs_init_first_config)(MazeConfigFFI *config);

static void init_options_of_size(MazeOptionsFFI *options, size_t size)
{
    MazeOptionsFFI whole = MAZE_OPTIONS_INIT;
    whole.struct_size = size;
    if (options != NULL)
        memcpy(options, &whole, size);
}

void structs_init_first_options(MazeOptionsFFI *options)
{
    init_options_of_size(options, offsetof(MazeOptionsFFI, system));
}

void structs_init_second_options(MazeOptionsFFI *options)
{
    init_options_of_size(options, offsetof(MazeOptionsFFI, on_conflict));
}

void structs_init_first_config(MazeConfigFFI *config)
{
    MazeConfigFFI whole = MAZE_CONFIG_INIT;
    whole.struct_size = offsetof(MazeConfigFFI, prompt_form);
    if (config != NULL)
        memcpy(config, &whole, whole.struct_size);
}
#endif

bool structs_read_options(const MazeOptionsFFI *given, MazeOptionsFFI *options, EmbedProblem *problem)
{
    maze_options_init(options);
    return read_struct(given, options, sizeof *options, "options", "MAZE_OPTIONS_INIT or maze_options_init()", problem);
}

bool structs_read_config(const MazeConfigFFI *given, MazeConfigFFI *config, EmbedProblem *problem)
{
    maze_config_init(config);
    return read_struct(given, config, sizeof *config, "config", "MAZE_CONFIG_INIT or maze_config_init()", problem);
}

bool structs_can_write_stats(const MazeCacheStatsFFI *wanted)
{
    return wanted != NULL && is_size(wanted->struct_size);
}

void structs_write_stats(const MazeCacheStatsFFI *counted, MazeCacheStatsFFI *wanted)
{
    size_t size = wanted->struct_size, known = sizeof *counted;
    size_t written = size < known ? size : known;
    memcpy(wanted, counted, written);
    memset((char *)wanted + written, 0, size - written);
    wanted->struct_size = size;
}
