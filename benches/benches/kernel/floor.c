// The floor of the figures: sends datagrams that are ready, waits for the acknowledgement of the last
// request of each, and says how long that took. Nothing a client does can take less.
//
//     floor PROTOCOL FILE      FILE: for each datagram its length (uint32_t) and its bytes
//
// Prints nanoseconds and system calls.
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct datagram {
	char *bytes;
	uint32_t length;
	uint32_t last; // sequence number of its last request
};

static char replies[1 << 16];

static void check(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static void option(int fd, int level, int name, int value)
{
	check(setsockopt(fd, level, name, &value, sizeof value) == 0, "setsockopt");
}

// As netlink-batch sets its sockets up.
static int open_socket(int protocol)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	check(fd >= 0, "socket");
	check(bind(fd, (struct sockaddr *)&kernel, sizeof kernel) == 0, "bind");
	check(connect(fd, (struct sockaddr *)&kernel, sizeof kernel) == 0, "connect");
	option(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
	option(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
	option(fd, SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20);
	option(fd, SOL_SOCKET, SO_SNDBUFFORCE, 512 << 10);
	return fd;
}

static size_t read_file(const char *path, struct datagram **datagrams)
{
	FILE *file = fopen(path, "r");
	size_t count = 0;
	uint32_t length;
	check(file != NULL, path);
	while (fread(&length, sizeof length, 1, file) == 1) {
		*datagrams = realloc(*datagrams, (count + 1) * sizeof **datagrams);
		struct datagram *datagram = *datagrams + count++;
		datagram->length = length;
		datagram->bytes = malloc(length);
		check(fread(datagram->bytes, 1, length, file) == length, "a datagram cut short");
		for (uint32_t at = 0; at + NLMSG_HDRLEN <= length;) {
			struct nlmsghdr *request = (struct nlmsghdr *)(datagram->bytes + at);
			datagram->last = request->nlmsg_seq;
			at += NLMSG_ALIGN(request->nlmsg_len);
		}
	}
	fclose(file);
	return count;
}

// Whether the replies end with the acknowledgement.
static int acknowledged(int length, uint32_t last)
{
	int done = 0;
	for (struct nlmsghdr *reply = (struct nlmsghdr *)replies; NLMSG_OK(reply, length);
	     reply = NLMSG_NEXT(reply, length)) {
		struct nlmsgerr *error = NLMSG_DATA(reply);
		if (reply->nlmsg_type != NLMSG_ERROR)
			continue;
		if (error->error != 0) {
			fprintf(stderr, "refused: %s\n", strerror(-error->error));
			exit(1);
		}
		done |= reply->nlmsg_seq == last;
	}
	return done;
}

int main(int argc, char **argv)
{
	struct datagram *datagrams = NULL;
	struct timespec start, end;
	unsigned long calls = 0;
	if (argc != 3)
		return 2;
	size_t count = read_file(argv[2], &datagrams);
	int fd = open_socket(atoi(argv[1]));

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (size_t i = 0; i < count; i++) {
		struct datagram *datagram = datagrams + i;
		check(send(fd, datagram->bytes, datagram->length, 0) == datagram->length, "send");
		calls++;
		ssize_t length;
		do {
			length = recv(fd, replies, sizeof replies, 0);
			check(length > 0, "recv");
			calls++;
		} while (!acknowledged(length, datagram->last));
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%lld %lu\n",
	       (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec, calls);
	return 0;
}
