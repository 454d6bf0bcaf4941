/* How long the shortest system call takes, in nanoseconds: the best of many rounds, so that a busy machine says the same.
 *
 *   getppid           as it is started
 *   getppid floor     under the least seccomp filter there can be: one instruction, everything passes
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 200, CALLS = 50000 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int argc, char **argv)
{
    struct sock_filter pass = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = { .len = 1, .filter = &pass };
    double best = 1e9;
    (void)argv;
    if (argc > 1 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                     syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &filter) < 0)) {
        perror("seccomp");
        return 1;
    }
    for (int round = 0; round < ROUNDS; round++) {
        double began = now();
        for (int call = 0; call < CALLS; call++)
            syscall(SYS_getppid);
        double took = (now() - began) / CALLS;
        best = took < best ? took : best;
    }
    printf("%.1f ns\n", best);
    return 0;
}
