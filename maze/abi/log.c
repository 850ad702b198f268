/* The host's log callback: setting it, calling it, and waiting until it is no longer called. */
#include "python_part.h"

#include <pthread.h>
#include <stdlib.h>

/* One registration of a callback. Freed by the last who leaves it. */
typedef struct LogTarget {
    MazeLogCallback callback;
    void *user_data;
    size_t running; /* threads inside the callback */
    size_t waiting; /* threads that took it away and wait until running is 0 */
    bool replaced;
} LogTarget;

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t log_idle = PTHREAD_COND_INITIALIZER;
static LogTarget *log_target;

static void free_if_unused(LogTarget *target)
{
    if (target->replaced && target->running == 0 && target->waiting == 0)
        free(target);
}

bool host_has_log_callback(void)
{
    pthread_mutex_lock(&log_lock);
    bool has = log_target != NULL;
    pthread_mutex_unlock(&log_lock);
    return has;
}

void host_emit_log(int level, const char *target_name, const char *message)
{
    if (embed_inside_log_callback)
        return;
    pthread_mutex_lock(&log_lock);
    LogTarget *target = log_target;
    if (target != NULL)
        target->running++;
    pthread_mutex_unlock(&log_lock);
    if (target == NULL)
        return;

    embed_inside_log_callback = true;
    python_part()->python_call_log_callback(target->callback, level, target_name, message, target->user_data);
    embed_inside_log_callback = false;

    pthread_mutex_lock(&log_lock);
    if (--target->running == 0)
        pthread_cond_broadcast(&log_idle);
    free_if_unused(target);
    pthread_mutex_unlock(&log_lock);
}

static void log_callback_changed(void *unused)
{
    (void)unused;
    python_part()->entry_log_callback_changed();
}

void maze_set_log_callback(MazeLogCallback callback, void *user_data)
{
    if (embed_is_forked_child())
        return;
    LogTarget *target = NULL;
    if (callback != NULL) {
        target = malloc(sizeof *target);
        if (target != NULL)
            *target = (LogTarget){.callback = callback, .user_data = user_data};
    }
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    void *released = embed_release_interpreter();
    pthread_mutex_lock(&log_lock);
    LogTarget *former = log_target;
    log_target = target;
    if (former != NULL) {
        former->replaced = true;
        former->waiting++;
        while (former->running > 0 && !embed_inside_log_callback)
            pthread_cond_wait(&log_idle, &log_lock);
        former->waiting--;
        free_if_unused(former);
    }
    pthread_mutex_unlock(&log_lock);
    embed_take_back_interpreter(released);
    pthread_setcancelstate(cancel_state, NULL);

    EmbedProblem unused;
    if (embed_is_running())
        embed_call(log_callback_changed, NULL, &unused);
}
