//! When a receive of many waits, and what it writes to.

use std::thread;
use std::time::{Duration, Instant};

use afunix::{AncillaryBuf, BatchBuf, Errno, RecvBatch, UnixAddr, UnixDatagram, UnixSeqpacket};

use crate::common::emulated::{NO_PIECES, left_out_by_qemu};
use crate::common::interrupt::interrupt;
use crate::common::kinds::{Data, Socket};
use crate::common::{Watchdog, name, passes_in_child, start_waiting};
use crate::ways::{Free, Method, Way, texts};

for_ways!(
    buffers_behind_the_last_message_are_not_touched
    a_batch_waits_for_its_first_message_alone
    a_batch_of_a_socket_that_does_not_wait_is_eagain
    a_batch_that_does_not_wait_is_eagain_whatever_the_socket_is
    a_signal_before_the_first_message_is_eintr
    nothing_is_received_of_a_socket_that_may_not
);

/// See "What no message came for is left alone" in `kernel.md`.
fn buffers_behind_the_last_message_are_not_touched<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let before = name("before");
    for count in 0..=3 {
        let (mut bufs, mut froms) = ([[0xee; 2]; 4], [before; 4]);
        let mut controls = [const { AncillaryBuf::<64>::new() }; 4];
        let mut memory = BatchBuf::<4>::new();
        let mut batch = memory.receiver();
        for ((buf, from), control) in bufs.iter_mut().zip(&mut froms).zip(&mut controls) {
            batch.push_with(buf, control, Some(from)).unwrap();
        }
        batch.set_nonblocking(true);
        (0..count).for_each(|_| assert_eq!(a.put(b"ab"), Ok(2)));
        let messages = b.recv_batch(&mut batch).map(|messages| messages.len());
        assert_eq!(messages, if count == 0 { Err(Errno::AGAIN) } else { Ok(count) });
        drop(batch);
        for (at, (buf, from)) in bufs.into_iter().zip(froms).enumerate() {
            let came = (*b"ab", UnixAddr::UNNAMED);
            assert_eq!((buf, from), if at < count { came } else { ([0xee; 2], before) });
        }
    }
}

/// See "A batch waits for its first message alone" in `kernel.md`.
fn a_batch_waits_for_its_first_message_alone<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let (mut memory, mut bufs) = (BatchBuf::<4>::new(), [[0; 2]; 4]);
    let mut batch = memory.receiver();
    batch.push_all(&mut bufs).unwrap();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || texts(b.recv_batch(&mut batch).unwrap()));
        a.put(b"ab").unwrap();
        assert_eq!(waiting.join().unwrap(), [b"ab"]);
    });
    // Nor does it wait where there is something.
    a.put(b"cd").unwrap();
    a.put(b"ef").unwrap();
    assert_eq!(texts(b.recv_batch(&mut batch).unwrap()), [b"cd", b"ef"]);
    // It can be told to, and not to.
    batch.set_nonblocking(true);
    assert_eq!(b.recv_batch(&mut batch).map(texts), Err(Errno::AGAIN));
    batch.set_nonblocking(false);
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || texts(b.recv_batch(&mut batch).unwrap()));
        a.put(b"gh").unwrap();
        assert_eq!(waiting.join().unwrap(), [b"gh"]);
    });
}

fn full<'a, const N: usize>(
    memory: &'a mut BatchBuf<N>,
    bufs: &'a mut [[u8; 8]; N],
) -> RecvBatch<'a> {
    let mut batch = memory.receiver();
    batch.push_all(bufs).unwrap();
    batch
}

fn a_batch_of_a_socket_that_does_not_wait_is_eagain<W: Way>(_: &str) {
    let (_a, b) = W::pair();
    let (mut memory, mut bufs) = (BatchBuf::<2>::new(), [[0xee; 8]; 2]);
    let mut batch = full(&mut memory, &mut bufs);
    b.set_nonblocking(true).unwrap();
    assert_eq!(b.recv_batch(&mut batch).map(texts), Err(Errno::AGAIN));
    assert!(batch.messages().next().is_none());
    drop(batch);
    assert_eq!(bufs, [[0xee; 8]; 2]);
}

fn a_batch_that_does_not_wait_is_eagain_whatever_the_socket_is<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let (mut memory, mut bufs) = (BatchBuf::<2>::new(), [[0xee; 8]; 2]);
    let mut batch = full(&mut memory, &mut bufs);
    batch.set_nonblocking(true);
    for _ in 0..2 {
        assert_eq!(b.recv_batch(&mut batch).map(texts), Err(Errno::AGAIN));
        a.put(b"x").unwrap();
        assert_eq!(texts(b.recv_batch(&mut batch).unwrap()), [b"x"]);
    }
}

fn a_signal_before_the_first_message_is_eintr<W: Way>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = W::pair();
        let (mut memory, mut bufs) = (BatchBuf::<2>::new(), [[0xee; 8]; 2]);
        let mut batch = full(&mut memory, &mut bufs);
        let answer = interrupt(|| b.recv_batch(&mut batch).map(texts));
        assert_eq!(answer, Err(Errno::INTR));
        a.put(b"word").unwrap();
        assert_eq!(texts(b.recv_batch(&mut batch).unwrap()), [b"word"]);
        drop(batch);
        assert_eq!(bufs[1], [0xee; 8]);
    });
}

fn nothing_is_received_of_a_socket_that_may_not<W: Way>(_: &str) {
    let alone = W::from(<W::Socket as Data>::unbound().unwrap());
    let (mut memory, mut bufs) = (BatchBuf::<2>::new(), [[0xee; 8]; 2]);
    let mut batch = full(&mut memory, &mut bufs);
    batch.set_nonblocking(true);
    let expected = match () {
        () if W::IS_DATAGRAM => Errno::AGAIN,
        () if W::IS_STREAM => Errno::INVAL,
        () => Errno::NOTCONN,
    };
    assert_eq!(alone.recv_batch(&mut batch).map(texts), Err(expected));
}

for_message_ways!(
    the_true_size_is_told_of_each_message
    a_time_limit_is_the_socket_s_own
);

/// See "The true size of a message" in `kernel.md`.
fn the_true_size_is_told_of_each_message<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let long: Vec<u8> = (0..100).collect();
    for size in [3, 100, 0, 8, 9] {
        a.put(&long[..size]).unwrap();
    }
    let (mut memory, mut bufs, mut none) = (BatchBuf::<5>::new(), [[0xee; 8]; 4], [0_u8; 0]);
    let mut batch = memory.receiver();
    batch.push_all(&mut bufs).unwrap();
    batch.push(&mut none).unwrap();
    let got: Vec<_> = b
        .recv_batch(&mut batch)
        .unwrap()
        .map(|message| (message.data.to_vec(), message.received.bytes, message.received.size))
        .collect();
    let expected = |bytes: usize, size| (long[..bytes].to_vec(), bytes, size);
    let all = [expected(3, 3), expected(8, 100), expected(0, 0), expected(8, 8), expected(0, 9)];
    assert_eq!(got, all);
    drop(batch);
    assert_eq!(bufs[2], [0xee; 8]);
    assert_eq!(bufs[0][3..], [0xee; 5]);
}

/// See "The time limit of a batch is looked at between messages" in `kernel.md`.
fn a_time_limit_is_the_socket_s_own<W: Way>(_: &str) {
    const MICROSECONDS: u32 = 400_000;
    const LIMIT: Duration = Duration::from_micros(MICROSECONDS as u64);
    let (a, b) = W::pair();
    let seconds = libc::timeval { tv_sec: 0, tv_usec: MICROSECONDS as _ };
    // SAFETY: the option is this structure, which is ours to read.
    let set = unsafe {
        let len = std::mem::size_of_val(&seconds) as libc::socklen_t;
        let fd = afunix::AsRawFd::as_raw_fd(&*b);
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, (&raw const seconds).cast(), len)
    };
    assert_eq!(set, 0);
    let (mut memory, mut bufs) = (BatchBuf::<2>::new(), [[0; 8]; 2]);
    let mut batch = full(&mut memory, &mut bufs);
    let start = Instant::now();
    assert_eq!(b.recv_batch(&mut batch).map(texts), Err(Errno::AGAIN));
    assert!(start.elapsed() >= LIMIT / 2);
    // It is not for a second message that it waits.
    a.put(b"x").unwrap();
    let start = Instant::now();
    assert_eq!(texts(b.recv_batch(&mut batch).unwrap()), [b"x"]);
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
}

/// The kernel's own limit, which the crate does not use.
#[test]
fn the_kernel_s_time_limit_limits_nothing() {
    let _watchdog = Watchdog::new();
    if left_out_by_qemu(NO_PIECES) {
        return;
    }
    let (a, b) = UnixDatagram::pair().unwrap();
    let late = Duration::from_millis(150);
    let start = Instant::now();
    let count = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(late);
            a.send(b"late").unwrap();
        });
        let mut limit = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        // SAFETY: zeros are a value of it: room for nothing.
        unsafe {
            let mut headers: [libc::mmsghdr; 2] = std::mem::zeroed();
            let fd = afunix::AsRawFd::as_raw_fd(&b);
            libc::recvmmsg(fd, headers.as_mut_ptr(), 2, 0, &mut limit)
        }
    });
    assert_eq!(count, 1);
    assert!(start.elapsed() >= late);
}

/// What comes while a batch is received is in it or in the next, and in order.
#[test]
fn nothing_is_lost_between_two_batches() {
    const COUNT: u16 = 5000;
    fn check<W: Way>() {
        let _watchdog = Watchdog::new();
        let (a, b) = W::pair();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut memory = BatchBuf::<16>::new();
                let numbers: Vec<[u8; 2]> = (0..COUNT).map(u16::to_le_bytes).collect();
                for some in numbers.chunks(13) {
                    let mut batch = memory.sender();
                    batch.push_all(some).unwrap();
                    while batch.unsent() > 0 {
                        a.send_batch(&mut batch).unwrap();
                    }
                }
            });
            let (mut memory, mut bufs) = (BatchBuf::<7>::new(), [[0; 2]; 7]);
            let mut batch = memory.receiver();
            batch.push_all(&mut bufs).unwrap();
            let mut next = 0;
            while next < COUNT {
                for message in b.recv_batch(&mut batch).unwrap() {
                    assert_eq!(*message.data, next.to_le_bytes());
                    next += 1;
                }
            }
        });
    }
    check::<Method<UnixDatagram>>();
    check::<Method<UnixSeqpacket>>();
    check::<Free<UnixSeqpacket>>();
}
