/*
 * Python inside somebody else's process.
 *
 * Everything here keeps a promise of include/maze.h that an embedded interpreter breaks by itself: the host's locale,
 * signals, environment and stdout stay as they are, any thread may call with any stack, a failed start is an error text.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "start.h"

#include <dlfcn.h>
#include <errno.h>
#include <fenv.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* Less than this left of a stack, and another thread stands in. Deep grammars run on threads of their own anyway. */
#define NEEDED_STACK ((size_t)1024 * 1024)
#define STAND_IN_STACK ((size_t)16 * 1024 * 1024)

#define STRINGIFY_EXPANDED(value) #value
#define STRINGIFY(value) STRINGIFY_EXPANDED(value)
#define PYTHON_VERSION STRINGIFY(PY_MAJOR_VERSION) "." STRINGIFY(PY_MINOR_VERSION)

typedef enum State {
    NOT_STARTED, /* or failed in a way that may be tried again */
    RUNNING,
    BROKEN, /* for good: see broken_problem */
} State;

static _Atomic(State) state = NOT_STARTED;
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static EmbedProblem broken_problem; /* written once, before `state` becomes BROKEN */
static _Atomic(pid_t) process;      /* that libmaze is in use in; 0 before the first call */
static _Thread_local bool interrupt_wanted;
_Thread_local bool embed_inside_log_callback;

__attribute__((format(printf, 3, 4))) static bool fail(EmbedProblem *problem, MazeStatus status, const char *format,
                                                       ...)
{
    static const char prefix[] = "libmaze: ";
    va_list arguments;
    problem->status = status;
    memcpy(problem->text, prefix, sizeof prefix);
    va_start(arguments, format);
    vsnprintf(problem->text + sizeof prefix - 1, sizeof problem->text - sizeof prefix + 1, format, arguments);
    va_end(arguments);
    return false;
}

/* ------------------------------------------------------------------------------------------------- forks */

bool embed_is_forked_child(void)
{
    /* Not pthread_atfork(): a fork by clone() would go unseen. */
    pid_t now = getpid();
    pid_t first = 0;
    return !atomic_compare_exchange_strong(&process, &first, now) && first != now;
}

/* -------------------------------------------------------------------------------------- interpreter lock */

void *embed_release_interpreter(void)
{
    if (!Py_IsInitialized())
        return NULL;
    /* PyGILState_Check() always says yes once there were subinterpreters. */
#if PY_VERSION_HEX >= 0x030D0000
    PyThreadState *current = PyThreadState_GetUnchecked();
#else
    PyThreadState *current = _PyThreadState_UncheckedGet();
#endif
    if (current == NULL || current != PyGILState_GetThisThreadState())
        return NULL;
    return PyEval_SaveThread();
}

void embed_take_back_interpreter(void *released)
{
    if (released != NULL)
        PyEval_RestoreThread(released);
}

void host_interrupt_after_call(void)
{
    interrupt_wanted = true;
}

void host_python_ends(void)
{
    fail(&broken_problem, MAZE_STARTUP_FAILED,
         "the Python interpreter of this process has ended, and libmaze with it; make calls before Py_Finalize()");
    atomic_store(&state, BROKEN);
}

/* ----------------------------------------------------------------------------------------- starting Python */

/* The one reader of the environment in C. */
const char *host_environment(const char *name)
{
    return getenv(name);
}

static bool readable_file(const char *folder, const char *name)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", folder, name);
    return len > 0 && (size_t)len < sizeof path && access(path, R_OK) == 0;
}

/* Find the Python executable whose environment to use; `python` holds PATH_MAX bytes. */
static bool find_python(char *python, EmbedProblem *problem)
{
    const char *wanted = host_environment("MAZE_PYTHON");
    if (wanted != NULL && wanted[0] != '\0') {
        if (strlen(wanted) >= PATH_MAX || access(wanted, X_OK) != 0)
            return fail(problem, MAZE_CONFIGURATION,
                        "MAZE_PYTHON is '%.1024s', which is not an executable file; "
                        "give the python of the environment that libmaze is installed in, or unset it",
                        wanted);
        strcpy(python, wanted);
        return true;
    }

    Dl_info here;
    char library[PATH_MAX];
    if (dladdr(&state, &here) == 0 || here.dli_fname == NULL || realpath(here.dli_fname, library) == NULL)
        return fail(problem, MAZE_STARTUP_FAILED,
                    "cannot find out where libmaze.so lies (is /proc mounted?); set MAZE_PYTHON");
    char folder[PATH_MAX];
    strcpy(folder, library);
    for (char *slash; (slash = strrchr(folder, '/')) != NULL;) {
        *slash = '\0';
        if (readable_file(folder, "pyvenv.cfg")) {
            int len = snprintf(python, PATH_MAX, "%s/bin/python3", folder);
            if (len < 0 || len >= PATH_MAX || access(python, X_OK) != 0)
                return fail(problem, MAZE_STARTUP_FAILED,
                            "%.1024s/bin/python3 is missing or not executable; "
                            "run `make` (or `make install`) in libmaze's source tree again",
                            folder);
            return true;
        }
    }
    return fail(problem, MAZE_STARTUP_FAILED,
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
        PyEval_SaveThread();
        return true;
    }
    return fail(problem, MAZE_STARTUP_FAILED, "Python " PYTHON_VERSION " cannot be started with %.1024s: %.1024s%s",
                python, status.err_msg != NULL ? status.err_msg : "unknown reason",
                host_environment("MAZE_PYTHON") != NULL ? " (MAZE_PYTHON must name a Python " PYTHON_VERSION ")" : "");
}

/* Describe and clear the current exception: "ModuleNotFoundError: No module named 'orjson'". */
static void describe_exception(char *text, size_t size)
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
    PyObject *message = exception != NULL ? PyObject_Str(exception) : NULL;
    const char *shown = message != NULL ? PyUnicode_AsUTF8(message) : NULL;
    snprintf(text, size, "%.200s: %.1000s", exception != NULL ? Py_TYPE(exception)->tp_name : "unknown error",
             shown != NULL ? shown : "");
    PyErr_Clear();
    Py_XDECREF(message);
    Py_XDECREF(exception);
}

/* Turn the current exception into a problem that says how to repair the installation. */
static bool fail_with_exception(EmbedProblem *problem, const char *what, bool own_interpreter)
{
    char reason[1280];
    describe_exception(reason, sizeof reason);
    PyObject *prefix = PySys_GetObject("prefix");
    const char *where = prefix != NULL && PyUnicode_Check(prefix) ? PyUnicode_AsUTF8(prefix) : NULL;
    if (where == NULL) {
        PyErr_Clear();
        where = "?";
    }
    return fail(problem, MAZE_STARTUP_FAILED, "%s: %s. %s %.1024s; %s", what, reason,
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
        found = fail(problem, MAZE_STARTUP_FAILED,
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

static bool check_python_version(EmbedProblem *problem)
{
    const char *version = Py_GetVersion();
    size_t len = strlen(PYTHON_VERSION);
    if (strncmp(version, PYTHON_VERSION, len) == 0 && (version[len] < '0' || version[len] > '9'))
        return true;
    return fail(problem, MAZE_STARTUP_FAILED,
                "this process runs Python %.16s, but libmaze was built for Python " PYTHON_VERSION
                "; build libmaze with that Python (make PYTHON=...), or use Python " PYTHON_VERSION,
                version);
}

/* Called under start_lock, without the interpreter lock. */
static bool start(EmbedProblem *problem)
{
    static bool own_interpreter;
    if (!check_python_version(problem))
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
        fail(problem, MAZE_STARTUP_FAILED,
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

/* Start Python unless it is running. The caller must not hold the interpreter lock: the starting thread needs it. */
static bool make_ready(EmbedProblem *problem)
{
    pthread_mutex_lock(&start_lock);
    State now = atomic_load(&state);
    bool ready = now == RUNNING || (now == NOT_STARTED && start(problem));
    if (now == BROKEN)
        *problem = broken_problem;
    pthread_mutex_unlock(&start_lock);
    return ready;
}

/* ------------------------------------------------------------------------------------------------- stacks */

static bool stack_is_deep(void)
{
    static _Thread_local uintptr_t bottom, top;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (top == 0) {
        pthread_attr_t attributes;
        void *lowest;
        size_t size;
        if (pthread_getattr_np(pthread_self(), &attributes) != 0)
            return false;
        if (pthread_attr_getstack(&attributes, &lowest, &size) == 0) {
            bottom = (uintptr_t)lowest;
            top = bottom + size;
        }
        pthread_attr_destroy(&attributes);
    }
    /* A host that switches stacks itself is outside of both bounds. */
    return here <= top && here > bottom && here - bottom >= NEEDED_STACK;
}

typedef struct Work {
    void (*run)(void *);
    void *arguments;
    EmbedProblem *problem;
    bool inside_log_callback;
    bool done;
    bool interrupt;
} Work;

static void *do_work(void *argument)
{
    Work *work = argument;
    embed_inside_log_callback = work->inside_log_callback;
    work->done = make_ready(work->problem);
    if (work->done)
        work->run(work->arguments);
    work->interrupt = interrupt_wanted;
    interrupt_wanted = false;
    return NULL;
}

/* Do it on a thread with a big stack and wait for that. */
static void stand_in(Work *work)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, former;
    /* The host's handlers belong on the host's threads. Faults cannot be put off, and find their handler anywhere. */
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(&all, faults[i]);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STAND_IN_STACK);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    int failure = pthread_create(&thread, &attributes, do_work, work);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    pthread_attr_destroy(&attributes);
    if (failure == 0)
        pthread_join(thread, NULL);
    else
        fail(work->problem, MAZE_OUT_OF_MEMORY,
             "the stack of this thread is too small, and no thread with a bigger one could be made (error %d)",
             failure);
}

/* ------------------------------------------------------------------------------------------------- calls */

bool embed_is_running(void)
{
    return !embed_is_forked_child() && atomic_load(&state) == RUNNING;
}

bool embed_call(void (*run)(void *), void *arguments, EmbedProblem *problem)
{
    int errno_of_host = errno;
    /* pthread_cancel() in the midst of Python would take the interpreter's locks along; it works after the call. */
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    /* With traps of the host the engine would end it with SIGFPE, and its rounding would decide about constraints. */
    fenv_t floating_point_of_host;
    fegetenv(&floating_point_of_host);
    fesetenv(FE_DFL_ENV);
    Work work = {
        .run = run, .arguments = arguments, .problem = problem, .inside_log_callback = embed_inside_log_callback};
    bool deep = stack_is_deep();
    if (embed_is_forked_child()) {
        fail(problem, MAZE_FORKED, "this process was forked after libmaze had started");
    } else if (deep && atomic_load(&state) == RUNNING) {
        run(arguments);
        work.done = true;
        work.interrupt = interrupt_wanted;
        interrupt_wanted = false;
    } else {
        void *released = embed_release_interpreter();
        if (deep)
            do_work(&work);
        else
            stand_in(&work);
        embed_take_back_interpreter(released);
    }
    if (work.interrupt)
        PyErr_SetInterrupt();
    fesetenv(&floating_point_of_host);
    pthread_setcancelstate(cancel_state, NULL);
    errno = errno_of_host;
    return work.done;
}
