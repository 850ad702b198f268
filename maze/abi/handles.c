/*
 * Addresses that are given out once in the life of the process, so that a pointer to a freed result is never taken for
 * another's, however late it comes.
 *
 * Handles lie one behind the other on chunks of memory, each mapped outside of all that were mapped before: what is
 * unmapped may go to others, but never comes back here. Memory is given back page by page, address space by chunks.
 */
#include "handles.h"

#include "pages.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)1 << 20)

/* Hosts may use the bits above for marks of their own, and kernels give such addresses out only if asked. */
#define ADDRESSES_END ((uintptr_t)1 << 47)
/* What stays free above a chunk that was mapped upwards: a stack grows down, to 8 MiB as a rule. */
#define STACK_ROOM ((size_t)256 << 20)

/*
 * Each chunk between two that were unmapped is a mapping of its own, of which a process may have 65,530. From so many
 * chunks with live results on, empty ones stay.
 */
#define MAX_CHUNKS_APART 4096

enum { SMALLEST_PAGE_BYTES = 4096, MAX_PAGES = CHUNK_BYTES / SMALLEST_PAGE_BYTES };

typedef struct Chunk {
    char *start;
    size_t pages_held;        /* whose memory was not given back */
    uint16_t live[MAX_PAGES]; /* results on each page */
} Chunk;

typedef struct Page {
    Chunk *chunk;
    size_t number;
} Page;

static size_t page_bytes;     /* of the kernel; 0 before the first handle */
static uintptr_t lowest, end; /* all chunks that there ever were lie between */

static Chunk **chunks; /* by address */
static size_t chunks_len, chunks_room, empty_chunks_len;

static Page next_page; /* handles are taken from; chunk is NULL if there is none */
static size_t next_slot;

/* Empty pages, the oldest at `emptied_next`: a host that reads a freed result is told so for a while. */
static Page emptied[MAX_PAGES];
static size_t emptied_next;

static size_t pages_of_chunk(void)
{
    return CHUNK_BYTES / page_bytes;
}

/* How many chunks begin at or below `address`. */
static size_t chunks_up_to(uintptr_t address)
{
    size_t first = 0, behind = chunks_len;
    while (first < behind) {
        size_t middle = first + (behind - first) / 2;
        if ((uintptr_t)chunks[middle]->start <= address)
            first = middle + 1;
        else
            behind = middle;
    }
    return first;
}

/* Map memory above all that was mapped before, and leave room for a stack there to grow; as map_chunk(). */
static char *map_above(void)
{
    for (uintptr_t distance = 0; end + distance + CHUNK_BYTES + STACK_ROOM <= ADDRESSES_END;
         distance = distance == 0 ? CHUNK_BYTES : distance * 2) {
        char *start = pages_map_with_room((void *)(end + distance), CHUNK_BYTES, STACK_ROOM);
        if (start != NULL) {
            end = (uintptr_t)start + CHUNK_BYTES;
            return start;
        }
    }
    return NULL;
}

/*
 * Map memory outside of all that was mapped before: below it, as near as others leave room, and only where there is none
 * (as under valgrind) above. NULL if there is none at all.
 */
static char *map_chunk(void)
{
    if (lowest == 0) {
        char *start = pages_map(NULL, CHUNK_BYTES);
        if (start == NULL)
            return NULL;
        lowest = (uintptr_t)start;
        end = lowest + CHUNK_BYTES;
        return start;
    }
    for (uintptr_t distance = CHUNK_BYTES; distance < lowest; distance *= 2) {
        char *start = pages_map((void *)(lowest - distance), CHUNK_BYTES);
        if (start != NULL) {
            lowest = (uintptr_t)start;
            return start;
        }
    }
    return map_above();
}

/* A chunk of which nothing was given out. NULL without memory. */
static Chunk *add_chunk(void)
{
    if (page_bytes == 0)
        page_bytes = pages_size();
    if (chunks_len == chunks_room) {
        size_t wanted = chunks_room == 0 ? 16 : chunks_room * 2;
        Chunk **room = realloc(chunks, wanted * sizeof *chunks);
        if (room == NULL)
            return NULL;
        chunks = room;
        chunks_room = wanted;
    }
    Chunk *chunk = calloc(1, sizeof *chunk);
    char *start = chunk != NULL ? map_chunk() : NULL;
    if (start == NULL) {
        free(chunk);
        return NULL;
    }
    chunk->start = start;
    chunk->pages_held = pages_of_chunk();
    size_t place = chunks_up_to((uintptr_t)start);
    memmove(&chunks[place + 1], &chunks[place], (chunks_len - place) * sizeof *chunks);
    chunks[place] = chunk;
    chunks_len++;
    return chunk;
}

static void unmap_empty_chunks(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < chunks_len; i++) {
        if (chunks[i]->pages_held > 0) {
            chunks[kept++] = chunks[i];
            continue;
        }
        pages_unmap(chunks[i]->start, CHUNK_BYTES);
        free(chunks[i]);
    }
    chunks_len = kept;
    empty_chunks_len = 0;
}

/* No result is left on a page, and none will be. */
static void page_emptied(Page page)
{
    Page oldest = emptied[emptied_next];
    emptied[emptied_next] = page;
    emptied_next = (emptied_next + 1) % pages_of_chunk();
    if (oldest.chunk == NULL)
        return;
    pages_give_back(oldest.chunk->start + oldest.number * page_bytes, page_bytes);
    if (--oldest.chunk->pages_held > 0)
        return;
    empty_chunks_len++;
    if (chunks_len - empty_chunks_len <= MAX_CHUNKS_APART)
        unmap_empty_chunks();
}

static void go_to_next_page(void)
{
    Page full = next_page;
    next_slot = 0;
    if (++next_page.number == pages_of_chunk())
        next_page.chunk = NULL;
    if (full.chunk->live[full.number] == 0)
        page_emptied(full);
}

Handle *handle_new(void)
{
    if (next_page.chunk == NULL) {
        next_page = (Page){add_chunk(), 0};
        if (next_page.chunk == NULL)
            return NULL;
    }
    Handle *handle = (Handle *)(void *)(next_page.chunk->start + next_page.number * page_bytes) + next_slot;
    next_page.chunk->live[next_page.number]++;
    if (++next_slot == page_bytes / sizeof(Handle))
        go_to_next_page();
    return handle;
}

Handle *handle_at(const void *address)
{
    size_t below = chunks_up_to((uintptr_t)address);
    if (below == 0)
        return NULL;
    size_t offset = (uintptr_t)address - (uintptr_t)chunks[below - 1]->start;
    size_t in_page = offset % page_bytes;
    if (offset >= CHUNK_BYTES || in_page % sizeof(Handle) != 0 || in_page + sizeof(Handle) > page_bytes)
        return NULL;
    Handle *handle = (Handle *)(void *)(chunks[below - 1]->start + offset);
    return handle->contents != NULL ? handle : NULL;
}

void handle_end(Handle *handle, GenerationResultFFI shown)
{
    Chunk *chunk = chunks[chunks_up_to((uintptr_t)handle) - 1];
    Page page = {chunk, (size_t)((char *)handle - chunk->start) / page_bytes};
    handle->shown = shown;
    handle->contents = NULL;
    bool will_get_more = next_page.chunk == chunk && next_page.number == page.number;
    if (--chunk->live[page.number] == 0 && !will_get_more)
        page_emptied(page);
}
