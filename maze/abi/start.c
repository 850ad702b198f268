/*
 * Starting Python inside somebody else's process.
 *
 * Everything here keeps a promise of include/maze.h that an embedded interpreter breaks by itself: the host's locale,
 * signals, environment and stdout stay as they are, a failed start is an error text and may be tried again.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "descriptors.h"
#include "lock.h"
#include "memory.h"
#include "start.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#define STRINGIFY_EXPANDED(value) #value
#define STRINGIFY(value) STRINGIFY_EXPANDED(value)
#define PYTHON_VERSION STRINGIFY(PY_MAJOR_VERSION) "." STRINGIFY(PY_MINOR_VERSION)

enum { MOST_CAUSES = 16 };

typedef enum State {
    NOT_STARTED, /* or failed in a way that may be tried again */
    RUNNING,
    BROKEN, /* for good: see broken_problem */
} State;

static _Atomic(State) state = NOT_STARTED;
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static EmbedProblem broken_problem; /* written once, before `state` becomes BROKEN */

void host_python_ends(void)
{
    embed_fail(&broken_problem, MAZE_STARTUP_FAILED,
               "the Python interpreter of this process has ended, and libmaze with it; make calls before Py_Finalize()");
    atomic_store(&state, BROKEN);
}

/* The one reader of the environment in C. */
const char *host_environment(const char *name)
{
    return getenv(name);
}

/* As open() and exec() will decide; access() asks for the real user, without the capabilities. */
static bool may(const char *path, int mode)
{
    return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0;
}

static bool readable_file(const char *folder, const char *name)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", folder, name);
    return len > 0 && (size_t)len < sizeof path && may(path, R_OK);
}

/* Find the Python executable whose environment to use; `python` holds PATH_MAX bytes. */
static bool find_python(char *python, EmbedProblem *problem)
{
    const char *wanted = host_environment("MAZE_PYTHON");
    if (wanted != NULL && wanted[0] != '\0') {
        if (strlen(wanted) >= PATH_MAX || !may(wanted, X_OK))
            return embed_fail(problem, MAZE_CONFIGURATION,
                              "MAZE_PYTHON is '%.1024s', which is not an executable file; "
                              "give the python of the environment that libmaze is installed in, or unset it",
                              wanted);
        strcpy(python, wanted);
        return true;
    }

    Dl_info here;
    char library[PATH_MAX];
    if (dladdr(&state, &here) == 0 || here.dli_fname == NULL || realpath(here.dli_fname, library) == NULL)
        return embed_fail(problem, MAZE_STARTUP_FAILED,
                          "cannot find out where libmaze.so lies (is /proc mounted?); set MAZE_PYTHON");
    char folder[PATH_MAX];
    strcpy(folder, library);
    for (char *slash; (slash = strrchr(folder, '/')) != NULL;) {
        *slash = '\0';
        if (readable_file(folder, "pyvenv.cfg")) {
            int len = snprintf(python, PATH_MAX, "%s/bin/python3", folder);
            if (len < 0 || len >= PATH_MAX || !may(python, X_OK))
                return embed_fail(problem, MAZE_STARTUP_FAILED,
                                  "%.1024s/bin/python3 is missing or not executable; "
                                  "run `make` (or `make install`) in libmaze's source tree again",
                                  folder);
            return true;
        }
    }
    return embed_fail(problem, MAZE_STARTUP_FAILED,
                      "no Python environment (pyvenv.cfg) in the folders above %.1024s; link to the library instead of "
                      "copying it, run `make install` in libmaze's source tree, or set MAZE_PYTHON to the python of the "
                      "environment that libmaze is installed in",
                      library);
}

/* Extension modules look for Python's symbols in the global scope: a host that opens us RTLD_LOCAL hides them. */
static void make_python_symbols_global(void)
{
    Dl_info python;
    if (dladdr((const void *)(uintptr_t)&Py_GetVersion, &python) != 0 && python.dli_fname != NULL)
        dlopen(python.dli_fname, RTLD_LAZY | RTLD_GLOBAL | RTLD_NOLOAD);
}

static volatile sig_atomic_t interrupted;

static void remember_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/*
 * Whoever imports Python's signal module first puts a handler of Python's in the place of a default SIGINT, even if
 * install_signal_handlers is 0, and Ctrl-C no longer ends the host. It leaves any other handler alone: so it is
 * imported here, with a handler in place that keeps a Ctrl-C of this moment for the host.
 */
static void import_signal_module(void)
{
    struct sigaction of_host, now, ours = {.sa_handler = remember_interrupt, .sa_flags = SA_RESTART};
    sigaction(SIGINT, NULL, &of_host);
    bool is_default = of_host.sa_handler == SIG_DFL;
    if (is_default)
        sigaction(SIGINT, &ours, NULL);
    PyObject *module = PyImport_ImportModule("_signal");
    if (module == NULL)
        PyErr_Clear(); /* whoever needs it will meet the same failure, and report it */
    Py_XDECREF(module);
    /* Another thread of the host may have set its own meanwhile. */
    if (is_default && sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler == remember_interrupt)
        sigaction(SIGINT, &of_host, NULL);
    if (interrupted)
        kill(getpid(), SIGINT);
}

/*
 * Let OpenSSL serve until the process has ended: it would clean up in an exit handler of its own, and calls from those
 * that the host had registered before would find no TLS. It must be told before Python's modules begin to use it.
 */
static void keep_openssl(void)
{
    static const uint64_t no_atexit = 0x00080000; /* OPENSSL_INIT_NO_ATEXIT */
    PyObject *finder = PyImport_ImportModule("importlib.util");
    PyObject *found = finder != NULL ? PyObject_CallMethod(finder, "find_spec", "s", "_ssl") : NULL;
    PyObject *origin = found != NULL ? PyObject_GetAttrString(found, "origin") : NULL;
    const char *path = origin != NULL && PyUnicode_Check(origin) ? PyUnicode_AsUTF8(origin) : NULL;
    void *module = path != NULL ? dlopen(path, RTLD_LAZY | RTLD_LOCAL) : NULL; /* with the OpenSSL that it uses */
    int (*initialize)(uint64_t, const void *) = NULL;
    if (module != NULL)
        *(void **)&initialize = dlsym(module, "OPENSSL_init_crypto");
    if (initialize != NULL)
        initialize(no_atexit, NULL);
    PyErr_Clear(); /* where there is no TLS, whoever needs it tells */
    Py_XDECREF(origin);
    Py_XDECREF(found);
    Py_XDECREF(finder);
}

/* Failure here is for good: CPython cannot be started twice. */
static bool initialize_python(const char *python, EmbedProblem *problem)
{
    PyPreConfig before;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    PyConfig config;
    PyStatus status = Py_PreInitialize(&before);
    if (!PyStatus_Exception(status)) {
        PyConfig_InitIsolatedConfig(&config);
        config.install_signal_handlers = 0;
        config.pathconfig_warnings = 0;
        /* Where files are limited in size, writing one may end the process with SIGXFSZ. */
        struct rlimit file_size;
        config.write_bytecode = getrlimit(RLIMIT_FSIZE, &file_size) == 0 && file_size.rlim_cur == RLIM_INFINITY;
        status = PyConfig_SetBytesString(&config, &config.program_name, python);
        if (!PyStatus_Exception(status))
            status = Py_InitializeFromConfig(&config);
        PyConfig_Clear(&config);
    }
    if (!PyStatus_Exception(status)) {
        /* Hosts speak protocols on stdout. */
        PySys_SetObject("stdout", PySys_GetObject("stderr"));
        PySys_SetObject("__stdout__", PySys_GetObject("stderr"));
        import_signal_module();
        keep_openssl();
        PyEval_SaveThread();
        return true;
    }
    if (status.err_msg != NULL && strcmp(status.err_msg, "memory allocation failed") == 0)
        return embed_fail(problem, MAZE_OUT_OF_MEMORY,
                          "out of memory: Python cannot be started, nor again in this process; raise what a process may "
                          "have of memory (ulimit -v, memory.max of its cgroup), and start the program anew");
    return embed_fail(problem, MAZE_STARTUP_FAILED, "Python " PYTHON_VERSION " cannot be started with %.1024s: %.1024s%s",
                      python, status.err_msg != NULL ? status.err_msg : "unknown reason",
                      host_environment("MAZE_PYTHON") != NULL ? " (MAZE_PYTHON must name a Python " PYTHON_VERSION ")" : "");
}

/* Whether an exception, as it is described, says that the process is short of something; see maze/scarcity.py. */
static bool is_of_scarcity(PyObject *exception, const char *text)
{
    static const int scarce[] = {ENOMEM, EMFILE, ENFILE};
    for (size_t i = 0; i < sizeof scarce / sizeof *scarce; i++)
        if (strstr(text, strerror(scarce[i])) != NULL)
            return true;
    /* What the dynamic linker says without a reason where memory is refused; or the file may not be executed. */
    if (host_memory_is_limited() && strstr(text, "failed to map segment") != NULL && strstr(text, strerror(EPERM)) == NULL)
        return true;
    return exception != NULL && PyErr_GivenExceptionMatches(exception, PyExc_MemoryError);
}

/*
 * Describe and clear the current exception: "ModuleNotFoundError: No module named 'orjson'". Returns whether the process
 * is short of something: then that is described, also where another exception came of it.
 */
static bool describe_exception(char *text, size_t size)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *exception = PyErr_GetRaisedException();
#else
    PyObject *type, *exception, *trace;
    PyErr_Fetch(&type, &exception, &trace);
    PyErr_NormalizeException(&type, &exception, &trace);
    Py_XDECREF(type);
    Py_XDECREF(trace);
#endif
    char reason[1280];
    bool is_scarce = false;
    for (int depth = 0; depth == 0 || (exception != NULL && depth < MOST_CAUSES && !is_scarce); depth++) {
        PyObject *message = exception != NULL ? PyObject_Str(exception) : NULL;
        const char *shown = message != NULL ? PyUnicode_AsUTF8(message) : NULL;
        snprintf(reason, sizeof reason, "%.200s: %.1000s",
                 exception != NULL ? Py_TYPE(exception)->tp_name : "unknown error", shown != NULL ? shown : "");
        PyErr_Clear();
        Py_XDECREF(message);
        is_scarce = is_of_scarcity(exception, reason);
        if (depth == 0 || is_scarce)
            snprintf(text, size, "%s", reason);
        PyObject *cause = exception != NULL ? PyException_GetContext(exception) : NULL;
        Py_XDECREF(exception);
        exception = cause;
    }
    Py_XDECREF(exception);
    return is_scarce;
}

/* Turn the current exception into a problem that says how to repair the installation. */
static bool fail_with_exception(EmbedProblem *problem, const char *what, bool own_interpreter)
{
    char reason[1280];
    if (describe_exception(reason, sizeof reason))
        return embed_fail(problem, MAZE_OUT_OF_MEMORY,
                          "out of memory, threads or open files: %s: %s; raise what the process may have of them (ulimit "
                          "-v, ulimit -n, memory.max of its cgroup), and call again",
                          what, reason);
    PyObject *prefix = PySys_GetObject("prefix");
    const char *where = prefix != NULL && PyUnicode_Check(prefix) ? PyUnicode_AsUTF8(prefix) : NULL;
    if (where == NULL) {
        PyErr_Clear();
        where = "?";
    }
    return embed_fail(problem, MAZE_STARTUP_FAILED, "%s: %s. %s %.1024s; %s", what, reason,
                      own_interpreter ? "The Python environment is" : "The Python of this process is", where,
                      own_interpreter ? "run `make` in libmaze's source tree (or `make install` again) to repair it"
                      : "install the libmaze package of version " MAZE_VERSION " into it");
}

/* The package and this library are released together; a mixture would fail in ways that nobody understands. */
static bool check_package_version(EmbedProblem *problem, bool own_interpreter)
{
    PyObject *module = PyImport_ImportModule("maze._version");
    PyObject *version = module != NULL ? PyObject_GetAttrString(module, "__version__") : NULL;
    const char *text = version != NULL ? PyUnicode_AsUTF8(version) : NULL;
    bool found;
    if (text == NULL)
        found = fail_with_exception(problem, "cannot import the Python package maze", own_interpreter);
    else if (strcmp(text, MAZE_VERSION) != 0)
        found = embed_fail(problem, MAZE_STARTUP_FAILED,
                           "the library is version " MAZE_VERSION " but the Python package maze is version %.100s; "
                           "install both from the same source",
                           text);
    else
        found = true;
    Py_XDECREF(version);
    Py_XDECREF(module);
    return found;
}

/* Import what can be missing while a failure can still be told: cffi's own start prints its failures to stderr. */
static bool import_package(EmbedProblem *problem, bool own_interpreter)
{
    PyObject *backend = PyImport_ImportModule("_cffi_backend");
    if (backend == NULL)
        return fail_with_exception(problem, "cannot import _cffi_backend of the package cffi", own_interpreter);
    Py_DECREF(backend);
    if (!check_package_version(problem, own_interpreter))
        return false;
    PyObject *entry = PyImport_ImportModule("maze.abi.entry");
    if (entry == NULL)
        return fail_with_exception(problem, "cannot import the Python part of libmaze", own_interpreter);
    Py_DECREF(entry);
    return true;
}

/* Hand cffi's view of this library to entry.py, which defines the entry functions with it. */
static bool attach_entry(EmbedProblem *problem, bool own_interpreter)
{
    PyObject *library = PyImport_ImportModule("_libmaze");
    PyObject *ffi = library != NULL ? PyObject_GetAttrString(library, "ffi") : NULL;
    PyObject *lib = library != NULL ? PyObject_GetAttrString(library, "lib") : NULL;
    PyObject *entry = PyImport_ImportModule("maze.abi.entry");
    PyObject *done = NULL;
    if (ffi != NULL && lib != NULL && entry != NULL)
        done = PyObject_CallMethod(entry, "attach", "OOO", ffi, lib, own_interpreter ? Py_True : Py_False);
    bool attached = done != NULL;
    if (!attached)
        fail_with_exception(problem, "the Python part of libmaze cannot be attached", own_interpreter);
    Py_XDECREF(done);
    Py_XDECREF(entry);
    Py_XDECREF(lib);
    Py_XDECREF(ffi);
    Py_XDECREF(library);
    return attached;
}

/*
 * Whether the process may have what the start needs. Asked before it begins: what fails in its midst is for good, or
 * leaves modules behind that made do without what they could not import.
 */
static bool process_has_enough(EmbedProblem *problem)
{
    return descriptors_suffice(problem);
}

static bool check_python_version(EmbedProblem *problem)
{
    const char *version = Py_GetVersion();
    size_t len = strlen(PYTHON_VERSION);
    if (strncmp(version, PYTHON_VERSION, len) == 0 && (version[len] < '0' || version[len] > '9'))
        return true;
    return embed_fail(problem, MAZE_STARTUP_FAILED,
                      "this process runs Python %.16s, but libmaze was built for Python " PYTHON_VERSION
                      "; build libmaze with that Python (make PYTHON=...), or use Python " PYTHON_VERSION,
                      version);
}

/* Called under start_lock, without the interpreter lock. */
static bool start(EmbedProblem *problem)
{
    static bool own_interpreter;
    if (!check_python_version(problem) || !process_has_enough(problem))
        return false;
    if (!Py_IsInitialized()) {
        char python[PATH_MAX];
        if (!find_python(python, problem))
            return false;
        make_python_symbols_global();
        own_interpreter = true;
        if (!initialize_python(python, problem)) {
            broken_problem = *problem;
            atomic_store(&state, BROKEN);
            return false;
        }
    } else {
        make_python_symbols_global();
    }

    PyGILState_STATE held = PyGILState_Ensure();
    bool imported = import_package(problem, own_interpreter);
    PyGILState_Release(held);
    if (!imported)
        return false;
    if (!bridge_start_cffi()) {
        embed_fail(problem, MAZE_STARTUP_FAILED,
                   "cffi could not attach to Python (the reason is on stderr); "
                   "run `make` in libmaze's source tree to repair the environment");
        broken_problem = *problem;
        atomic_store(&state, BROKEN);
        return false;
    }
    held = PyGILState_Ensure();
    bool attached = attach_entry(problem, own_interpreter);
    PyGILState_Release(held);
    if (attached)
        atomic_store(&state, RUNNING);
    return attached;
}

bool start_is_done(void)
{
    return atomic_load(&state) == RUNNING;
}

bool start_python(EmbedProblem *problem)
{
    if (start_is_done())
        return true;
    pthread_mutex_lock(&start_lock);
    State now = atomic_load(&state);
    bool ready = now == RUNNING || (now == NOT_STARTED && start(problem));
    if (now == BROKEN)
        *problem = broken_problem;
    pthread_mutex_unlock(&start_lock);
    return ready;
}

/* Asked under start_lock: what a thread maps when it first allocates would be missing in the midst of a start. */
bool start_has_memory(EmbedProblem *problem)
{
    void *released = embed_release_interpreter();
    LockHost host = lock_take(&start_lock);
    bool left = memory_is_left(start_is_done() ? MEMORY_TO_CALL : MEMORY_TO_START, problem);
    lock_give_back(&start_lock, host);
    embed_take_back_interpreter(released);
    return left;
}
