/* Windows makes no process out of another. */
#include "start.h"

bool embed_is_forked_child(void)
{
    return false;
}
