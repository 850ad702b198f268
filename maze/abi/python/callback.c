/*
 * Calling functions of the host.
 *
 * A C++ exception, or pthread_exit(), that leaves a callback would unwind through the interpreter, whose locks would
 * stay taken for ever: end it here, where the reason can be told. (Without a handler further up, C++ itself ends the
 * process before it unwinds anything.) Needs -fexceptions.
 */
#include "python_part.h"

#include <stdlib.h>
#include <unistd.h>

static void check_returned(const bool *returned)
{
    static const char text[] = "libmaze: a callback was left by an exception or pthread_exit(), not by returning, which "
                               "the interpreter cannot survive; catch exceptions inside the callback\n";
    if (!*returned) {
        ssize_t unused = write(STDERR_FILENO, text, sizeof text - 1);
        (void)unused;
        abort();
    }
}
#define LEFT_BY_RETURNING __attribute__((cleanup(check_returned))) bool

bool host_emit_text(MazeTextCallback callback, const char *text, size_t text_len, void *user_data)
{
    LEFT_BY_RETURNING returned = false;
    bool go_on = callback(text, text_len, user_data);
    returned = true;
    return go_on;
}

void python_call_log_callback(MazeLogCallback callback, int level, const char *target, const char *message,
                              void *user_data)
{
    LEFT_BY_RETURNING returned = false;
    callback((MazeLogLevel)level, target, message, user_data);
    returned = true;
}
