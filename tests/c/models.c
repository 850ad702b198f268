/* A host that uses one model file after the other: it prints what became of each, and goes on. */
#include <maze.h>

#include <stdio.h>
#include <time.h>

static double now_secs(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    IntentFFI intent = {.raw_input = "Hello"};
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.max_tokens = 4;
    options.timeout_ms = 10000;
    for (int i = 1; i < argc; i++) {
        MazeConfigFFI config = MAZE_CONFIG_INIT;
        config.local_model = argv[i];
        config.endpoint = "";
        GenerationResultFFI *result = maze_init(&config);
        if (result->success) {
            maze_free_result(result);
            double began = now_secs();
            result = maze_generate_with(&intent, NULL, 0, &options);
            printf("%.1f ", now_secs() - began);
        } else {
            printf("0 ");
        }
        printf("%s %s\n", maze_status_name(maze_result_status(result)), result->error != NULL ? result->error : "");
        fflush(stdout);
        maze_free_result(result);
        maze_shutdown();
    }
    return 0;
}
