/*
 * Makes and frees results without Python: results <results> <kept>
 *
 * Each is freed before the next is made, except for `kept` of them, spread evenly, which stay. Prints what one took in
 * nanoseconds, and by how much resident memory, page tables (KiB), address space (KiB) and mappings have grown.
 */
#include "calls.h"

#include <string.h>

typedef struct Memory {
    long resident_kib, page_tables_kib, address_space_kib, mappings;
} Memory;

static Memory measure(void)
{
    Memory now = {0};
    char line[4096];
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        sscanf(line, "VmRSS: %ld", &now.resident_kib);
        sscanf(line, "VmPTE: %ld", &now.page_tables_kib);
        sscanf(line, "VmSize: %ld", &now.address_space_kib);
    }
    if (file != NULL)
        fclose(file);
    file = fopen("/proc/self/maps", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        now.mappings++;
    if (file != NULL)
        fclose(file);
    return now;
}

/* A call without a callback is refused before Python is started. */
static GenerationResultFFI *make(void)
{
    static const IntentFFI intent = {.raw_input = ""};
    return maze_generate_stream(&intent, NULL, 0, NULL, NULL, NULL);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    const long results = atol(argv[1]), kept = atol(argv[2]);
    GenerationResultFFI **keep = calloc((size_t)kept + 1, sizeof *keep);
    memset(keep, 1, ((size_t)kept + 1) * sizeof *keep);
    long keep_len = 0;
    for (int i = 0; i < 1000; i++)
        maze_free_result(make());
    const Memory before = measure();
    const double started = now_us();
    for (long i = 0; i < results; i++) {
        GenerationResultFFI *result = make();
        if (keep_len < kept && i >= keep_len * (results / kept))
            keep[keep_len++] = result;
        else
            maze_free_result(result);
    }
    const double took = now_us() - started;
    const Memory after = measure();
    for (long i = 0; i < keep_len; i++)
        if (keep[i]->error == NULL || strstr(keep[i]->error, "callback") == NULL)
            return 1;
    printf("%.1f %ld %ld %ld %ld\n", took * 1e3 / (double)results, after.resident_kib - before.resident_kib,
           after.page_tables_kib - before.page_tables_kib, after.address_space_kib - before.address_space_kib,
           after.mappings - before.mappings);
    for (long i = 0; i < keep_len; i++)
        maze_free_result(keep[i]);
    return 0;
}
