/* Calling functions of the host. Internal to libmaze. */
#ifndef MAZE_CALLBACK_H
#define MAZE_CALLBACK_H

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * A C++ exception, or pthread_exit(), that leaves a callback would unwind through the interpreter, whose locks would
 * stay taken for ever: end it here, where the reason can be told. (Without a handler further up, C++ itself ends the
 * process before it unwinds anything.) Needs -fexceptions.
 */
static inline void check_returned(const bool *returned)
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

#endif /* MAZE_CALLBACK_H */
