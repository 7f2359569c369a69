/* The other end of descriptors and credentials, in C: with the macros of cmsg(3). Its end of a pair
 * is standard input.
 *
 *   fds take COUNT    receives COUNT descriptors
 *   fds ask COUNT     asks to be told who sent, then receives
 *   fds give COUNT    sends COUNT descriptors
 *   fds split COUNT   sends them with two headers, one descriptor with the first
 *   fds tell COUNT    sends them with its own credentials, which come first
 *
 * Who sends prints `made` and the inode of each file that it sends, of which file K has the content
 * "file K"; then it sends "given". Who receives prints `ready`, the data, the types of the control
 * messages as they came if it asked, the credentials if there are any, and `file` with inode and
 * content of each descriptor, all of which it moves to its end by reading. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MOST = 253 };

/* Room for the descriptors with two headers, and for credentials. */
union room {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(MOST * sizeof(int)) + CMSG_SPACE(sizeof(int))
               + CMSG_SPACE(sizeof(struct ucred))];
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static unsigned long inode(int fd)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        die("fstat");
    return stat.st_ino;
}

static void make(int *fds, int count)
{
    for (int i = 0; i < count; i++) {
        fds[i] = memfd_create("given", MFD_CLOEXEC);
        if (fds[i] < 0 || dprintf(fds[i], "file %d", i) < 0 || lseek(fds[i], 0, SEEK_SET) != 0)
            die("a file");
        printf("made %lu\n", inode(fds[i]));
    }
    fflush(stdout);
}

static struct cmsghdr *put(struct msghdr *message, struct cmsghdr *header, int type,
                           const void *payload, size_t len)
{
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(header), payload, len);
    return CMSG_NXTHDR(message, header);
}

static void give(int count, int split, int tell)
{
    int fds[MOST];
    make(fds, count);
    union room room;
    memset(&room, 0, sizeof room);
    struct iovec data = {"given", 5};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = room.bytes};
    message.msg_controllen = sizeof room.bytes;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    size_t used = 0;
    int first = split ? 1 : 0;
    if (tell) {
        struct ucred self = {getpid(), getuid(), getgid()};
        header = put(&message, header, SCM_CREDENTIALS, &self, sizeof self);
        used += CMSG_SPACE(sizeof self);
    }
    if (split) {
        header = put(&message, header, SCM_RIGHTS, fds, sizeof(int));
        used += CMSG_SPACE(sizeof(int));
    }
    size_t rest = (size_t)(count - first) * sizeof(int);
    put(&message, header, SCM_RIGHTS, fds + first, rest);
    message.msg_controllen = used + CMSG_SPACE(rest);
    if (sendmsg(0, &message, MSG_NOSIGNAL) != 5)
        die("sendmsg");
}

static void show(int fd)
{
    char content[64];
    ssize_t count = read(fd, content, sizeof content);
    if (count < 0)
        die("read");
    printf("file %lu %.*s\n", inode(fd), (int)count, content);
}

static void take(int count, int ask)
{
    int on = 1;
    if (ask && setsockopt(0, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
        die("SO_PASSCRED");
    printf("ready\n");
    fflush(stdout);

    union room room;
    char text[64];
    struct iovec data = {text, sizeof text};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = room.bytes};
    message.msg_controllen = sizeof room.bytes;
    ssize_t len = recvmsg(0, &message, MSG_CMSG_CLOEXEC);
    if (len < 0)
        die("recvmsg");
    if (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) {
        fprintf(stderr, "something was cut\n");
        exit(1);
    }
    printf("data %.*s\n", (int)len, text);
    struct cmsghdr *header;
    if (ask) {
        printf("types");
        for (header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
            printf(" %d", header->cmsg_type);
        printf("\n");
    }
    int seen = 0;
    for (header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET)
            continue;
        if (header->cmsg_type == SCM_CREDENTIALS) {
            struct ucred sender;
            memcpy(&sender, CMSG_DATA(header), sizeof sender);
            printf("credentials %d %u %u\n", sender.pid, sender.uid, sender.gid);
        } else if (header->cmsg_type == SCM_RIGHTS) {
            size_t payload = header->cmsg_len - CMSG_LEN(0);
            for (size_t at = 0; at < payload; at += sizeof(int)) {
                int fd;
                memcpy(&fd, CMSG_DATA(header) + at, sizeof fd);
                show(fd);
                seen++;
            }
        }
    }
    if (seen != count) {
        fprintf(stderr, "%d descriptors\n", seen);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    /* A test that failed leaves nothing running for long. */
    alarm(30);
    int count = argc == 3 ? atoi(argv[2]) : -1;
    if (count < 0 || count > MOST) {
        fprintf(stderr, "these arguments mean nothing\n");
        return 2;
    }
    const char *role = argv[1];
    int ask = strcmp(role, "ask") == 0;
    if (ask || strcmp(role, "take") == 0)
        take(count, ask);
    else
        give(count, strcmp(role, "split") == 0, strcmp(role, "tell") == 0);
    return 0;
}
