/* Callbacks that do not return: the first argument says which, the second how they are left. */
#include <maze.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <stdexcept>

static bool with_exception;

static void leave()
{
    if (with_exception)
        throw std::runtime_error("left");
    pthread_exit(nullptr);
}

static void log_callback(MazeLogLevel, const char *, const char *, void *)
{
    leave();
}

static bool text_callback(const char *, size_t, void *)
{
    leave();
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    with_exception = std::strcmp(argv[2], "exception") == 0;
    try {
        if (std::strcmp(argv[1], "log") == 0) {
            setenv("MAZE_LOG", "error", 1);
            maze_set_log_callback(log_callback, nullptr);
            maze_free_result(maze_compile_constraints(nullptr, 0, nullptr, nullptr));
            maze_free_result(reinterpret_cast<GenerationResultFFI *>(&argc)); /* logs */
        } else {
            IntentFFI intent = {"Tell a story.", nullptr, nullptr, nullptr};
            maze_free_result(maze_generate_stream(&intent, nullptr, 0, nullptr, text_callback, nullptr));
        }
    } catch (const std::exception &) {
        std::puts("an exception passed through the interpreter");
    }
    return 3;
}
