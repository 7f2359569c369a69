/* The other end of the tests, in C: what it is told to bind or reach is raw bytes, and what it is
 * told of names it prints as raw bytes, so that nothing stands between the kernel and the test.
 *
 *   peer server TYPE NAME          [mute]
 *   peer client TYPE NAME THEIRS   [mute]
 *
 * TYPE is stream, dgram or seqpacket. NAME and THEIRS are a sockaddr_un in hexadecimal, family
 * first; `-` is no name, so no bind. A server prints `ready` when it can be reached. With `mute`
 * nobody answers, because there is nobody to answer to.
 *
 * An address is printed as its addrlen and the bytes that were written; data is printed as its
 * bytes. The client sends all 256 values of a byte; the answer is what came, back to front. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PAYLOAD = 256 };

/* Larger than a sockaddr_un, since the kernel reports 111 bytes of a path of 108. */
struct name {
    union {
        struct sockaddr sa;
        unsigned char bytes[128];
    };
    socklen_t len;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void print_hex(const char *key, long addrlen, const unsigned char *bytes, size_t count)
{
    printf("%s", key);
    if (addrlen >= 0)
        printf(" %ld", addrlen);
    printf(" ");
    for (size_t i = 0; i < count; i++)
        printf("%02x", bytes[i]);
    printf(count == 0 ? "-\n" : "\n");
    fflush(stdout);
}

static void print_name(const char *key, const struct name *name)
{
    size_t written = name->len < sizeof name->bytes ? name->len : sizeof name->bytes;
    print_hex(key, name->len, name->bytes, written);
}

static struct name read_hex(const char *text)
{
    struct name name = {.len = 0};
    unsigned int byte;
    for (; name.len < sizeof name.bytes && sscanf(text, "%2x", &byte) == 1; text += 2)
        name.bytes[name.len++] = (unsigned char)byte;
    return name;
}

/* What the kernel does not write must not look like an address. */
static struct name blank(void)
{
    struct name name;
    memset(name.bytes, 0xee, sizeof name.bytes);
    name.len = sizeof name.bytes;
    return name;
}

static void print_local(const char *key, int fd)
{
    struct name name = blank();
    if (getsockname(fd, &name.sa, &name.len) != 0)
        die("getsockname");
    print_name(key, &name);
}

static void print_peer(int fd)
{
    struct name name = blank();
    if (getpeername(fd, &name.sa, &name.len) != 0)
        die("getpeername");
    print_name("peer", &name);
}

/* Receives, and prints from whom and what. */
static struct name receive(int fd, int type, unsigned char *data)
{
    struct name from = blank();
    int flags = type == SOCK_STREAM ? MSG_WAITALL : MSG_TRUNC;
    ssize_t count = recvfrom(fd, data, PAYLOAD, flags, &from.sa, &from.len);
    if (count < 0)
        die("recvfrom");
    print_name("from", &from);
    if (count != PAYLOAD) {
        fprintf(stderr, "received %zd bytes\n", count);
        exit(1);
    }
    print_hex("data", -1, data, PAYLOAD);
    return from;
}

static void answer(int fd, const unsigned char *data, const struct name *to)
{
    unsigned char reversed[PAYLOAD];
    for (int i = 0; i < PAYLOAD; i++)
        reversed[i] = data[PAYLOAD - 1 - i];
    ssize_t count = to == NULL ? send(fd, reversed, PAYLOAD, MSG_NOSIGNAL)
                               : sendto(fd, reversed, PAYLOAD, 0, &to->sa, to->len);
    if (count != PAYLOAD)
        die("answer");
}

static void serve(int fd, int type, int mute)
{
    unsigned char data[PAYLOAD];
    if (type == SOCK_DGRAM) {
        print_local("ready", fd);
        struct name from = receive(fd, type, data);
        /* The path of 108 bytes is the one address that the kernel reports longer than it takes
         * it back. */
        if (from.len > sizeof(struct sockaddr_un))
            from.len = sizeof(struct sockaddr_un);
        if (!mute)
            answer(fd, data, &from);
        return;
    }
    if (listen(fd, 8) != 0)
        die("listen");
    print_local("ready", fd);
    struct name from = blank();
    int connection = accept(fd, &from.sa, &from.len);
    if (connection < 0)
        die("accept");
    print_name("accepted", &from);
    print_local("local", connection);
    print_peer(connection);
    receive(connection, type, data);
    if (!mute)
        answer(connection, data, NULL);
}

static void ask(int fd, int type, const struct name *theirs, int mute)
{
    unsigned char data[PAYLOAD];
    for (int i = 0; i < PAYLOAD; i++)
        data[i] = (unsigned char)i;
    /* A datagram goes out before the socket is connected, to have been sent with an address. */
    if (type == SOCK_DGRAM && sendto(fd, data, PAYLOAD, 0, &theirs->sa, theirs->len) != PAYLOAD)
        die("sendto");
    if (connect(fd, &theirs->sa, theirs->len) != 0)
        die("connect");
    print_local("ready", fd);
    print_peer(fd);
    if (type != SOCK_DGRAM && send(fd, data, PAYLOAD, MSG_NOSIGNAL) != PAYLOAD)
        die("send");
    if (!mute)
        receive(fd, type, data);
}

int main(int argc, char **argv)
{
    /* A test that failed leaves nothing running for long. */
    alarm(30);
    int is_client = argc > 1 && strcmp(argv[1], "client") == 0;
    int wanted = is_client ? 5 : 4;
    if (argc < wanted) {
        fprintf(stderr, "too few arguments\n");
        return 2;
    }
    int mute = argc > wanted && strcmp(argv[wanted], "mute") == 0;
    int type = strcmp(argv[2], "stream") == 0  ? SOCK_STREAM
               : strcmp(argv[2], "dgram") == 0 ? SOCK_DGRAM
                                               : SOCK_SEQPACKET;
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    if (strcmp(argv[3], "-") != 0) {
        struct name name = read_hex(argv[3]);
        if (bind(fd, &name.sa, name.len) != 0)
            die("bind");
    }
    if (is_client) {
        struct name theirs = read_hex(argv[4]);
        ask(fd, type, &theirs, mute);
    } else {
        serve(fd, type, mute);
    }
    return 0;
}
