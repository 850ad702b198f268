/*
 * Finding Python by files alone: to run an interpreter and ask it would show in the host, as a child, and take its time.
 *
 * The environment is that of MAZE_PYTHON, else the one that libmaze itself lies in; which Python it is, pyvenv.cfg says
 * in a virtual environment, elsewhere the name of the executable.
 */
#include "interpreter.h"

#include "loading.h"
#include "paths.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pythons to look for where only the names of folders tell. */
enum { FIRST_MINOR = 8, LAST_MINOR = 40 };

/* The one reader of the environment in C. */
const char *host_environment(const char *name)
{
    return getenv(name);
}

/* Put "<folder>/<rest>" into PATH_MAX bytes. False if it is too long. */
__attribute__((format(printf, 3, 4))) static bool join(char *path, const char *folder, const char *format, ...)
{
    char rest[256];
    va_list arguments;
    va_start(arguments, format);
    int rest_len = vsnprintf(rest, sizeof rest, format, arguments);
    va_end(arguments);
    if (rest_len < 0 || (size_t)rest_len >= sizeof rest || strlen(folder) + (size_t)rest_len + 2 > PATH_MAX)
        return false;
    strcpy(path, folder);
    strcat(strcat(path, "/"), rest);
    return true;
}

/* Cut the last part of a path off: "" of "/usr", false where there is none. */
static bool go_up(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    return true;
}

bool interpreter_own_path(char *library, EmbedProblem *problem)
{
    static const char here;
    if (loading_path(&here, library))
        return true;
    return embed_fail(problem, MAZE_STARTUP_FAILED,
                      "cannot find out where libmaze.so lies (is /proc mounted?); set MAZE_PYTHON");
}

/* ------------------------------------------------------------------------------------------ the executable */

/* The Python whose packages `folder` holds without a virtual environment: prefix/bin/python3.N of its site-packages. */
static bool find_owner_of_packages(const char *folder, char *python)
{
    static const char *const libraries[] = {"/lib/python3.", "/lib64/python3."};
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        const char *at = strstr(folder, libraries[i]);
        int minor, len = 0;
        if (at == NULL || sscanf(at + strlen(libraries[i]), "%d/%n", &minor, &len) != 1 || len == 0)
            continue;
        const char *name = at + strlen(libraries[i]) + len;
        if (strcmp(name, "site-packages") != 0 && strcmp(name, "dist-packages") != 0)
            continue;
        char prefix[PATH_MAX];
        memcpy(prefix, folder, (size_t)(at - folder));
        prefix[at - folder] = '\0';
        if (join(python, prefix, "bin/python3.%d", minor) && paths_is_executable_file(python))
            return true;
        /* Debian's Python has the packages that pip installed below /usr/local. */
        if (strcmp(prefix, "/usr/local") == 0 && join(python, "/usr", "bin/python3.%d", minor) &&
            paths_is_executable_file(python))
            return true;
    }
    return false;
}

static bool find_executable(char *python, EmbedProblem *problem)
{
    const char *wanted = host_environment("MAZE_PYTHON");
    if (wanted != NULL && wanted[0] != '\0') {
        if (strlen(wanted) >= PATH_MAX || !paths_is_executable_file(wanted))
            return embed_fail(problem, MAZE_CONFIGURATION,
                              "MAZE_PYTHON is '%.1024s', which is not an executable file; "
                              "give the python of the environment that libmaze is installed in, or unset it",
                              wanted);
        strcpy(python, wanted);
        return true;
    }

    char library[PATH_MAX], folder[PATH_MAX], settings[PATH_MAX];
    if (!interpreter_own_path(library, problem))
        return false;
    strcpy(folder, library);
    while (go_up(folder)) {
        if (join(settings, folder, "pyvenv.cfg") && paths_is_readable(settings)) {
            if (!join(python, folder, "%s", paths_python_of_environment) || !paths_is_executable_file(python))
                return embed_fail(problem, MAZE_STARTUP_FAILED,
                                  "%.1024s/%s is missing or not executable; "
                                  "run `make` (or `make install`) in libmaze's source tree again",
                                  folder, paths_python_of_environment);
            return true;
        }
        if (find_owner_of_packages(folder, python))
            return true;
    }
    return embed_fail(problem, MAZE_STARTUP_FAILED,
                      "no Python environment (pyvenv.cfg) in the folders above %.1024s; link to the library instead of "
                      "copying it, run `make install` in libmaze's source tree, or set MAZE_PYTHON to the python of the "
                      "environment that libmaze is installed in",
                      library);
}

/* ------------------------------------------------------------------------------------------ which Python it is */

/* What a line of pyvenv.cfg says of `key`: NULL if it is about something else. Cuts the line's end off. */
static const char *value_of(char *line, const char *key)
{
    size_t len = strlen(key);
    char *rest = line + strspn(line, " \t");
    if (strncmp(rest, key, len) != 0)
        return NULL;
    rest += len;
    rest += strspn(rest, " \t");
    if (*rest != '=')
        return NULL;
    rest++;
    rest += strspn(rest, " \t");
    size_t end = strlen(rest);
    while (end > 0 && strchr(" \t\r\n", rest[end - 1]) != NULL)
        end--;
    rest[end] = '\0';
    return rest;
}

/* Read home and version from pyvenv.cfg of a virtual environment, as far as it has them. */
static void read_settings(Interpreter *found)
{
    char path[PATH_MAX], line[PATH_MAX];
    FILE *file = join(path, found->environment, "pyvenv.cfg") ? paths_open(path) : NULL;
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) {
        const char *value;
        if ((value = value_of(line, "home")) != NULL)
            snprintf(found->home, sizeof found->home, "%s", value);
        else if ((value = value_of(line, "version")) != NULL || (value = value_of(line, "version_info")) != NULL)
            sscanf(value, "3.%d", &found->minor);
    }
    fclose(file);
}

/* N of ".../bin/python3.N"; 0 if that is not its name. */
static int minor_of_name(const char *executable)
{
    const char *name = strrchr(executable, '/');
    int minor = 0, len = 0;
    if (name == NULL || sscanf(name, "/python3.%d%n", &minor, &len) != 1 || name[len] != '\0')
        return 0;
    return minor;
}

/* N of the only lib/python3.N that an environment has; 0 if there are none or several. */
static int minor_of_folders(const char *environment)
{
    int only = 0;
    char path[PATH_MAX];
    for (int minor = FIRST_MINOR; minor <= LAST_MINOR; minor++) {
        if (!join(path, environment, "lib/python3.%d", minor) || !paths_is_readable(path))
            continue;
        if (only != 0)
            return 0;
        only = minor;
    }
    return only;
}

bool interpreter_find(Interpreter *found, EmbedProblem *problem)
{
    *found = (Interpreter){0};
    if (!find_executable(found->executable, problem))
        return false;

    char itself[PATH_MAX];
    strcpy(found->environment, found->executable);
    if (!go_up(found->environment) || !go_up(found->environment))
        strcpy(found->environment, ".."); /* of a path that is relative to bin/ */
    if (!paths_resolve(found->executable, itself))
        strcpy(itself, found->executable);
    read_settings(found);
    if (found->home[0] == '\0') {
        strcpy(found->home, itself);
        go_up(found->home);
    }
    if (paths_python_has_folder)
        go_up(found->home);
    if (found->minor == 0)
        found->minor = minor_of_name(itself);
    if (found->minor == 0)
        found->minor = minor_of_folders(found->environment);
    if (found->minor != 0)
        return true;
    return embed_fail(problem, MAZE_STARTUP_FAILED,
                      "cannot tell which Python %.1024s is: it is no python3.N, and there is no pyvenv.cfg beside its "
                      "folder that says; set MAZE_PYTHON to the python of the environment that libmaze is installed in, as "
                      "sys.executable there shows it",
                      found->executable);
}

/* ------------------------------------------------------------------------------------------ its library */

bool interpreter_library(const Interpreter *found, char *library, EmbedProblem *problem)
{
    for (size_t i = 0; paths_of_library[i] != NULL; i++) {
        char place[64];
        snprintf(place, sizeof place, paths_of_library[i], found->minor);
        if (join(library, found->home, "%s", place) && paths_is_readable(library))
            return true;
    }
    return embed_fail(problem, MAZE_STARTUP_FAILED,
                      "the shared library of Python 3.%d (libpython3.%d.so.1.0) is missing in %.1024s/lib: install "
                      "libpython3.%d (Debian, Ubuntu) or python3-libs (Fedora); a pyenv Python must be built with "
                      "PYTHON_CONFIGURE_OPTS=--enable-shared",
                      found->minor, found->minor, found->home, found->minor);
}
