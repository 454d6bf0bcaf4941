/* The smallest server that can be restarted: a program whose main() runs about a millisecond after exec.
 *
 *   target stamp                            note when main() ran, and exit
 *   target launch PORT COMMAND [ARG]...     bind, fork, exec: the least a launcher can do
 *   target relaunch COUNT                   bind COUNT sockets and start a server; at each SIGHUP another one, and end the
 *                                           one before a moment later: the least a launcher that restarts can do
 *   target serve [ready] [grace]            answer on the sockets inherited as 3, 4, 5... (LISTEN_FDS of them)
 *   target bind COUNT [ready] [grace]       bind COUNT sockets itself, the way `address()` numbers them, and answer
 *
 * `ready` sends READY=1. With `grace` SIGTERM waits until the request at hand is answered; without it the process dies
 * wherever it is. It shows where that was: the status line goes out at once after accept(2), and no SIGTERM gets between
 * the two, so a client that got nothing at all was lost before accept, and one with half an answer after it.
 *
 * If BENCH_STAMPS names a file, "main PID NANOSECONDS" and "term PID NANOSECONDS" (CLOCK_MONOTONIC) are appended to it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_FD = 3, PATIENCE_MS = 1000 };
static const char STATUS[] = "HTTP/1.1 200 OK\r\n";

static int stamps = -1;

static void die(const char *what)
{
    perror(what);
    _exit(125);
}

/* Async-signal-safe but for snprintf, which for these conversions neither allocates nor locks. */
static void stamp(const char *event, const struct timespec *when)
{
    char line[80];
    if (stamps < 0)
        return;
    int length = snprintf(line, sizeof line, "%s %d %lld\n", event, (int)getpid(),
                          (long long)when->tv_sec * 1000000000LL + when->tv_nsec);
    if (write(stamps, line, (size_t)length) < 0)
        _exit(124);
}

static void on_term(int signal)
{
    struct timespec now;
    (void)signal;
    clock_gettime(CLOCK_MONOTONIC, &now);
    stamp("term", &now);
    _exit(0);
}

static void say_ready(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    if (!path || strlen(path) >= sizeof to.sun_path)
        return;
    memcpy(to.sun_path, path, strlen(path));
    if (*path == '@')
        to.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&to, length) < 0)
        die("READY=1");
    close(fd);
}

static struct sockaddr_in address(int index)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(20000 + index % 1000)) };
    addr.sin_addr.s_addr = htonl(0x7f010001u + ((uint32_t)(index / 1000) << 8));
    return addr;
}

static int listen_at(struct sockaddr_in addr)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        die("socket");
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, 4096) < 0)
        die("bind");
    return fd;
}

static void answer(int client, int grace, const sigset_t *term)
{
    char request[4096], reply[200];
    if (!grace && write(client, STATUS, sizeof STATUS - 1) >= 0)
        sigprocmask(SIG_UNBLOCK, term, NULL);
    struct pollfd wait = { .fd = client, .events = POLLIN };
    if (poll(&wait, 1, PATIENCE_MS) == 1 && read(client, request, sizeof request) > 0) {
        char body[80];
        const char *generation = getenv("ENDLESS_GENERATION");
        int length = snprintf(body, sizeof body, "Hello, world %s %d!\n", generation ? generation : "0", (int)getpid());
        length = snprintf(reply, sizeof reply, "%sContent-Length: %d\r\nConnection: close\r\n\r\n%s",
                          grace ? STATUS : "", length, body);
        if (write(client, reply, (size_t)length) < 0)
            perror("write");
    }
    sigprocmask(SIG_BLOCK, term, NULL);
    close(client);
}

static void serve(int first, int count, int ready, int grace)
{
    sigset_t term, none;
    struct sigaction action = { .sa_handler = on_term };
    sigemptyset(&term);
    sigemptyset(&none);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);

    int poller = epoll_create1(EPOLL_CLOEXEC);
    for (int fd = first; fd < first + count; fd++) {
        struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
        if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
            die("epoll");
    }
    if (ready)
        say_ready();
    for (;;) {
        struct epoll_event event;
        if (epoll_pwait(poller, &event, 1, -1, &none) != 1)
            continue;
        int client = accept4(event.data.fd, NULL, NULL, SOCK_CLOEXEC);
        if (client >= 0)
            answer(client, grace, &term);
        else if (event.events & EPOLLHUP)
            epoll_ctl(poller, EPOLL_CTL_DEL, event.data.fd, NULL); /* the socket was shut down for us */
    }
}

static int launch(int port, char **command)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = listen_at(addr), status = 0;
    if (fd != FIRST_FD && (dup2(fd, FIRST_FD) < 0 || close(fd) < 0))
        die("dup2");
    pid_t child = fork();
    if (child == 0) {
        char text[16];
        snprintf(text, sizeof text, "%d", (int)getpid());
        setenv("LISTEN_FDS", "1", 1);
        setenv("LISTEN_PID", text, 1);
        execv(command[0], command);
        die(command[0]);
    }
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

static int relaunch(int count, const char *self)
{
    const struct timespec moment = { .tv_nsec = 100 * 1000 * 1000 };
    char text[16];
    sigset_t awaited;
    int got = 0;
    pid_t old = 0, child;

    for (int i = 0; i < count; i++)
        listen_at(address(i));
    snprintf(text, sizeof text, "%d", count);
    setenv("LISTEN_FDS", text, 1);
    signal(SIGCHLD, SIG_IGN); /* nobody waits for them */
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGHUP);
    sigaddset(&awaited, SIGTERM);
    sigprocmask(SIG_BLOCK, &awaited, NULL);
    do {
        child = fork();
        if (child == 0) {
            sigprocmask(SIG_UNBLOCK, &awaited, NULL);
            execl(self, self, "serve", "grace", (char *)NULL);
            die(self);
        }
        if (old > 0) {
            nanosleep(&moment, NULL);
            kill(old, SIGTERM);
        }
        old = child;
    } while (child > 0 && sigwait(&awaited, &got) == 0 && got == SIGHUP);
    if (child > 0)
        kill(child, SIGTERM);
    return child < 0;
}

int main(int argc, char **argv)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (argc > 3 && !strcmp(argv[1], "launch"))
        return launch(atoi(argv[2]), argv + 3);

    if (argc > 2 && (!strcmp(argv[1], "bind") || !strcmp(argv[1], "relaunch")))
        closefrom(FIRST_FD); /* the sockets shall be numbered without a gap */
    if (argc > 2 && !strcmp(argv[1], "relaunch"))
        return relaunch(atoi(argv[2]), argv[0]);
    const char *file = getenv("BENCH_STAMPS");
    if (file)
        stamps = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    stamp("main", &now);
    if (argc > 1 && !strcmp(argv[1], "stamp"))
        return 0;

    int ready = 0, grace = 0;
    for (int i = 2; i < argc; i++) {
        ready |= !strcmp(argv[i], "ready");
        grace |= !strcmp(argv[i], "grace");
    }
    if (argc > 2 && !strcmp(argv[1], "bind")) {
        int count = atoi(argv[2]), first = -1;
        for (int i = 0; i < count; i++) {
            int fd = listen_at(address(i));
            first = i ? first : fd;
        }
        serve(first, count, ready, grace);
    }
    if (argc > 1 && !strcmp(argv[1], "serve")) {
        const char *count = getenv("LISTEN_FDS");
        serve(FIRST_FD, count ? atoi(count) : 1, ready, grace);
    }
    fprintf(stderr, "target: stamp | launch PORT COMMAND... | relaunch COUNT | serve [ready] [grace] | bind COUNT [ready] [grace]\n");
    return 2;
}
