// SPDX-License-Identifier: MIT
// The version of the running library; its numbers are written in tempera.h and nowhere else.
#include <tempera/tempera.h>

#define TEXT(number) #number
#define VERSION(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)

const char *tempera_version(void)
{
    return VERSION(TEMPERA_VERSION_MAJOR, TEMPERA_VERSION_MINOR, TEMPERA_VERSION_PATCH);
}
