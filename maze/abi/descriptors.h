/* The descriptors of a process that is not ours. Internal to libmaze. */
#ifndef MAZE_DESCRIPTORS_H
#define MAZE_DESCRIPTORS_H

#include "start.h"

/*
 * Put something that can be neither read nor written in the place of each standard descriptor that is closed, so that
 * nothing that is opened from now on lands there: what the host prints would travel through our connections. Cheap
 * where none is closed. It is never closed again; the host may dup2() onto it. Changes errno.
 */
void descriptors_hold_standard(void);

/* Whether the start of Python will find the descriptors that it needs. False with `problem` filled in. */
bool descriptors_suffice(EmbedProblem *problem);

#endif /* MAZE_DESCRIPTORS_H */
