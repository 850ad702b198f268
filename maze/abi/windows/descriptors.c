/* Windows gives no file the place of a closed standard stream, and has no limit of open files that a start could meet. */
#include "descriptors.h"

void descriptors_hold_standard(void) {}

bool descriptors_suffice(EmbedProblem *problem)
{
    (void)problem;
    return true;
}
