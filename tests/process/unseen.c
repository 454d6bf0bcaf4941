/* A server that binds and listens in a way no filter sees: `uring` or `i386`, and a port; with one more word it ends then.
   Ends with 77 where that cannot be. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* IORING_OP_BIND and IORING_OP_LISTEN, and the numbers of the calls in the other table. */
enum { BIND = 56, LISTEN = 57, BIND_I386 = 361, LISTEN_I386 = 363 };

/* Puts one request into the ring and waits for its answer. */
static int ring(int operation, int socket, const void *address, unsigned length, unsigned backlog) {
  struct io_uring_params made = {0};
  int ring = syscall(SYS_io_uring_setup, 1, &made);
  if (ring < 0) return -ENOSYS;
  char *sq = mmap(0, made.sq_off.array + 4, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
  char *cq = mmap(0, made.cq_off.cqes + 64, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
  struct io_uring_sqe *entry = mmap(0, sizeof *entry, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
  *entry = (struct io_uring_sqe){.opcode = operation, .fd = socket, .len = backlog};
  entry->addr = (unsigned long)address;
  entry->off = length;
  *(unsigned *)(sq + made.sq_off.array) = 0;
  *(unsigned *)(sq + made.sq_off.tail) = 1;
  if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, 0, 0) < 0) return -errno;
  int answer = ((struct io_uring_cqe *)(cq + made.cq_off.cqes))->res;
  close(ring);
  return answer;
}

/* A call of the 32-bit table, for which a pointer has to lie low. */
static int i386(int number, int socket, const void *address, unsigned length) {
#ifdef __x86_64__
  int answer;
  __asm__ volatile("int $0x80"
                   : "=a"(answer)
                   : "a"(number), "b"((long)socket), "c"(address), "d"((long)length)
                   : "memory", "r8", "r9", "r10", "r11");
  return answer;
#else
  return -ENOSYS;
#endif
}

static void impossible(int signal) { _exit(77); }

int main(int count, char **words) {
  /* Where there is no other table. */
  signal(SIGSEGV, impossible);
  int by_ring = !strcmp(words[1], "uring");
  int server = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in *at = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  at->sin_family = AF_INET;
  at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sscanf(words[2], "%hu", &at->sin_port);
  at->sin_port = htons(at->sin_port);
  int answer = by_ring ? ring(BIND, server, at, sizeof *at, 0) : i386(BIND_I386, server, at, sizeof *at);
  if (!answer) answer = by_ring ? ring(LISTEN, server, 0, 0, 99) : i386(LISTEN_I386, server, (void *)99, 0);
  if (answer == -ENOSYS || answer == -EPERM || answer == -EINVAL) return 77;
  if (answer) return fprintf(stderr, "bind: %s\n", strerror(-answer)), 1;
  puts("listens");
  fflush(stdout);
  while (count < 4) pause();
  return 0;
}
