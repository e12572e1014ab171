/* A disk that fails as it is told, between a program and the C library (LD_PRELOAD). Only files below FAULT_ROOT are concerned.

   FAULT_LOG=path     every change is written there, with its bytes, for power cuts to be made of it (power.py)
   FAULT_CONTROL=path a file of 32 bytes that all processes map, four numbers of 8 bytes, which may be changed at any time:
       count          how many changes there were
       at             the number of the change where it happens, 0: nowhere
       action         -1: the process is killed; else the number of the error that the change fails with
       flags          1: killed after the change instead of before; 2: all later changes fail, too; 4: half of the bytes are written

   Changes: write, pwrite, writev, fsync, fdatasync, ftruncate, rename, unlink, mkdir, and open where it creates.

   A record of the log: type (1), descriptor is O_DSYNC (1), length of the first path (2), of the second (2), offset (8), length of the
   data (4), paths, data; little-endian. Written with one call, so that records of several processes do not mix. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[PATH_MAX];
static size_t root_length;
static int log_fd = -1;

static volatile struct {
    uint64_t count, at;
    int64_t action;
    uint64_t flags;
} *control;

/* Called by a process that nothing is to happen to. */
static int immune;
void be_immune(void) { immune = 1; }

enum { AFTER = 1, STICKY = 2, HALF = 4 };

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("FAULT_ROOT");
    if (!text || !realpath(text, root)) return;
    root_length = strlen(root);
    if ((text = getenv("FAULT_LOG"))) log_fd = syscall(SYS_openat, AT_FDCWD, text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if ((text = getenv("FAULT_CONTROL"))) {
        int fd = syscall(SYS_openat, AT_FDCWD, text, O_RDWR | O_CLOEXEC, 0);
        void *map = fd < 0 ? MAP_FAILED : mmap(NULL, 32, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED) control = map;
    }
}

static int inside(const char *path) {
    return root_length && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static int path_of(int fd, char *path) {
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return inside(path);
}

/* The path itself, its folder made absolute; 0 if it is not ours. */
static int full_path(const char *path, char *full) {
    char folder[PATH_MAX];
    if (!root_length || strlen(path) >= PATH_MAX) return 0;
    const char *name = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", name ? (int)(name - path) : 1, name ? path : ".");
    char resolved[PATH_MAX];
    if (!realpath(folder[0] ? folder : "/", resolved)) return 0;
    if (snprintf(full, PATH_MAX, "%s/%s", resolved, name ? name + 1 : path) >= PATH_MAX) return 0;
    return inside(full);
}

static void record(char type, int dsync, const char *path, const char *other, uint64_t offset, const struct iovec *parts, int n) {
    if (log_fd < 0) return;
    uint16_t first = strlen(path), second = other ? strlen(other) : 0;
    uint32_t length = 0;
    for (int i = 0; i < n; i++) length += parts[i].iov_len;
    size_t size = 18 + first + second + length;
    char *buffer = malloc(size), *at = buffer + 18;
    buffer[0] = type;
    buffer[1] = dsync;
    memcpy(buffer + 2, &first, 2);
    memcpy(buffer + 4, &second, 2);
    memcpy(buffer + 6, &offset, 8);
    memcpy(buffer + 14, &length, 4);
    memcpy(at, path, first), at += first;
    if (second) memcpy(at, other, second), at += second;
    for (int i = 0; i < n; i++) memcpy(at, parts[i].iov_base, parts[i].iov_len), at += parts[i].iov_len;
    syscall(SYS_write, log_fd, buffer, size);
    free(buffer);
}

/* Counts a change; returns whether it is to fail, with errno set. */
static int fails(int *last) {
    *last = 0;
    if (!control || immune) return 0;
    uint64_t number = __atomic_add_fetch(&control->count, 1, __ATOMIC_SEQ_CST), at = control->at;
    if (!at || number < at || (number > at && !(control->flags & STICKY))) return 0;
    if (control->action < 0) {
        if (!(control->flags & AFTER)) kill(getpid(), SIGKILL);
        *last = 1;
        return 0;
    }
    errno = control->action;
    return 1;
}

static void end(int last) {
    if (last) kill(getpid(), SIGKILL);
}

static ssize_t written(int fd, const struct iovec *parts, int n, off_t offset, int at_offset) {
    char path[PATH_MAX];
    int saved = errno, ours = path_of(fd, path), last = 0;
    errno = saved;
    if (!ours) return at_offset ? syscall(SYS_pwrite64, fd, parts->iov_base, parts->iov_len, offset) : syscall(SYS_writev, fd, parts, n);
    if (fails(&last)) {
        if ((control->flags & HALF) && parts->iov_len > 1) {
            size_t half = parts->iov_len / 2;
            return at_offset ? syscall(SYS_pwrite64, fd, parts->iov_base, half, offset) : syscall(SYS_write, fd, parts->iov_base, half);
        }
        return -1;
    }
    off_t place = at_offset ? offset : lseek(fd, 0, SEEK_CUR);
    ssize_t done = at_offset ? syscall(SYS_pwrite64, fd, parts->iov_base, parts->iov_len, offset) : syscall(SYS_writev, fd, parts, n);
    saved = errno;
    if (done >= 0) record('w', (fcntl(fd, F_GETFL) & O_DSYNC) != 0, path, NULL, place, parts, n);
    errno = saved;
    end(last);
    return done;
}

ssize_t write(int fd, const void *data, size_t length) {
    struct iovec part = {(void *)data, length};
    return written(fd, &part, 1, 0, 0);
}

ssize_t writev(int fd, const struct iovec *parts, int n) { return written(fd, parts, n, 0, 0); }

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    struct iovec part = {(void *)data, length};
    return written(fd, &part, 1, offset, 1);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

static int synced(int fd, int call) {
    char path[PATH_MAX];
    int saved = errno, ours = path_of(fd, path), last = 0;
    errno = saved;
    if (ours && fails(&last)) return -1;
    int done = syscall(call, fd);
    saved = errno;
    if (ours && !done) record('s', 0, path, NULL, 0, NULL, 0);
    errno = saved;
    end(last);
    return done;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }

int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int ftruncate64(int fd, off64_t length) {
    char path[PATH_MAX];
    int ours = path_of(fd, path), last = 0;
    if (ours && fails(&last)) return -1;
    int done = syscall(SYS_ftruncate, fd, length);
    if (ours && !done) record('t', 0, path, NULL, length, NULL, 0);
    end(last);
    return done;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int rename(const char *from, const char *to) {
    char one[PATH_MAX], two[PATH_MAX];
    int ours = full_path(from, one) && full_path(to, two), last = 0;
    if (ours && fails(&last)) return -1;
    int done = syscall(SYS_rename, from, to), saved = errno;
    if (ours && !done) record('r', 0, one, two, 0, NULL, 0);
    errno = saved;
    end(last);
    return done;
}

int link(const char *from, const char *to) {
    char one[PATH_MAX], two[PATH_MAX];
    int ours = full_path(from, one) && full_path(to, two), last = 0;
    if (ours && fails(&last)) return -1;
    int done = syscall(SYS_link, from, to), saved = errno;
    if (ours && !done) record('l', 0, one, two, 0, NULL, 0);
    errno = saved;
    end(last);
    return done;
}

int unlink(const char *path) {
    char full[PATH_MAX];
    int ours = full_path(path, full), last = 0;
    if (ours && fails(&last)) return -1;
    int done = syscall(SYS_unlink, path), saved = errno;
    if (ours && !done) record('u', 0, full, NULL, 0, NULL, 0);
    errno = saved;
    end(last);
    return done;
}

int mkdir(const char *path, mode_t mode) {
    char full[PATH_MAX];
    int ours = full_path(path, full), last = 0;
    if (ours && fails(&last)) return -1;
    int done = syscall(SYS_mkdir, path, mode), saved = errno;
    if (ours && !done) record('m', 0, full, NULL, 0, NULL, 0);
    errno = saved;
    end(last);
    return done;
}

static int opened(int folder, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    int ours = (flags & O_CREAT) && (path[0] == '/' || folder == AT_FDCWD) && full_path(path, full), last = 0;
    struct stat status;
    if (ours && !stat(full, &status)) ours = 0;
    if (ours && fails(&last)) return -1;
    int done = syscall(SYS_openat, folder, path, flags, mode), saved = errno;
    if (ours && done >= 0) record('c', 0, full, NULL, 0, NULL, 0);
    errno = saved;
    end(last);
    return done;
}

#define MODE(flags, mode)                                                                                                                  \
    mode_t mode = 0;                                                                                                                       \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                                                                                 \
        va_list list;                                                                                                                      \
        va_start(list, flags);                                                                                                             \
        mode = va_arg(list, mode_t);                                                                                                       \
        va_end(list);                                                                                                                      \
    }

int open(const char *path, int flags, ...) {
    MODE(flags, mode)
    return opened(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE(flags, mode)
    return opened(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE(flags, mode)
    return opened(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags, mode)
    return opened(folder, path, flags, mode);
}
