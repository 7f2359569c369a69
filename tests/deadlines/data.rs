//! Data that is there, that comes in time, and that does not come; on sockets that have a mind of their own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use afunix::{
    AncillaryBuf, AsRawFd, Deadline, Errno, IoSlice, IoSliceMut, RecvOptions, SendOptions, Space,
    UnixSeqpacket, UnixStream,
};

use crate::common::{Watchdog, identity, start_waiting};
use crate::ways::{SHORT, SLACK, Timed, drain, expires, far, fill, past, soon};

for_data!(
    what_is_there_is_received_at_once_even_if_it_is_late
    what_comes_while_it_waits_is_received
    receive_that_waits_in_vain_is_etimedout_and_loses_nothing
    send_with_room_goes_at_once_even_if_it_is_late
    send_without_room_goes_when_there_is_some
    send_that_waits_in_vain_is_etimedout_and_sent_nothing
    sockets_own_flag_and_limits_say_nothing_and_stay
    descriptors_come_until_a_deadline
    descriptors_wait_for_room_and_go_once
    later_of_deadline_and_nonblocking_counts
    somebody_else_may_take_it
);

fn what_is_there_is_received_at_once_even_if_it_is_late<T: Timed>(_: &str) {
    let (a, b) = T::pair().unwrap();
    for get in T::GETS {
        for deadline in [past(), soon(), far()] {
            let mut buf = [0; 8];
            assert_eq!(a.put(b"word"), Ok(4));
            assert_eq!(get(&b, &mut buf, deadline), Ok(4));
            assert_eq!(&buf, b"word\0\0\0\0");
        }
        let mut buf = [7; 8];
        assert_eq!(get(&b, &mut buf, past()), Err(Errno::TIMEDOUT));
        assert_eq!(buf, [7; 8]);
    }
}

fn what_comes_while_it_waits_is_received<T: Timed>(_: &str) {
    let (a, b) = T::pair().unwrap();
    for get in T::GETS {
        let mut buf = [0; 8];
        thread::scope(|scope| {
            let waiting = start_waiting(scope, || get(&b, &mut buf, far()));
            assert_eq!(a.put(b"word"), Ok(4));
            assert_eq!(waiting.join().unwrap(), Ok(4));
        });
        assert_eq!(&buf, b"word\0\0\0\0");
    }
}

fn receive_that_waits_in_vain_is_etimedout_and_loses_nothing<T: Timed>(_: &str) {
    let (a, b) = T::pair().unwrap();
    for get in T::GETS {
        let mut buf = [7; 8];
        expires(|deadline| get(&b, &mut buf, deadline));
        assert_eq!(buf, [7; 8]);
        assert_eq!(a.put(b"word"), Ok(4));
        assert_eq!(b.get(&mut buf), Ok(4));
        assert_eq!(&buf, b"word\x07\x07\x07\x07");
    }
}

fn send_with_room_goes_at_once_even_if_it_is_late<T: Timed>(_: &str) {
    let (a, b) = T::pair().unwrap();
    for put in T::PUTS {
        for deadline in [past(), soon(), far()] {
            assert_eq!(put(&a, b"word", deadline), Ok(4));
            let mut buf = [0; 8];
            assert_eq!(b.get(&mut buf), Ok(4));
            assert_eq!(&buf, b"word\0\0\0\0");
        }
    }
}

fn send_without_room_goes_when_there_is_some<T: Timed>(_: &str) {
    let (a, b) = T::pair().unwrap();
    for put in T::PUTS {
        let sent = fill(&a);
        thread::scope(|scope| {
            let waiting = start_waiting(scope, || put(&a, b"more", far()));
            // Not one byte before, and `drain` may well be ahead of what it makes room for.
            let mut received = drain(&b);
            assert_eq!(waiting.join().unwrap(), Ok(4));
            received += drain(&b);
            assert_eq!(received, sent + 4);
        });
    }
}

fn send_that_waits_in_vain_is_etimedout_and_sent_nothing<T: Timed>(_: &str) {
    let (a, b) = T::pair().unwrap();
    for put in T::PUTS {
        let sent = fill(&a);
        expires(|deadline| put(&a, b"more", deadline));
        assert_eq!(put(&a, b"more", past()), Err(Errno::TIMEDOUT));
        assert_eq!(drain(&b), sent);
        assert_eq!(put(&a, b"more", past()), Ok(4));
        assert_eq!(drain(&b), 4);
    }
}

fn sockets_own_flag_and_limits_say_nothing_and_stay<T: Timed>(_: &str) {
    let set_limits = |socket: &T| {
        let fd = socket.as_raw_fd();
        for option in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
            let time = libc::timeval { tv_sec: 0, tv_usec: 10_000 };
            let len = size_of::<libc::timeval>() as libc::socklen_t;
            // SAFETY: the kernel reads one `timeval`.
            let set = unsafe {
                libc::setsockopt(fd, libc::SOL_SOCKET, option, (&raw const time).cast(), len)
            };
            assert_eq!(set, 0);
        }
    };
    for nonblocking in [false, true] {
        let (a, b) = T::pair().unwrap();
        for socket in [&a, &b] {
            socket.set_nonblocking(nonblocking).unwrap();
            set_limits(socket);
        }
        let before = (identity(&a), identity(&b));
        for get in T::GETS {
            expires(|deadline| get(&b, &mut [0; 8], deadline));
            thread::scope(|scope| {
                let waiting = start_waiting(scope, || get(&b, &mut [0; 8], far()));
                assert_eq!(a.put(b"word"), Ok(4));
                assert_eq!(waiting.join().unwrap(), Ok(4));
            });
        }
        for put in T::PUTS {
            let sent = fill(&a);
            expires(|deadline| put(&a, b"more", deadline));
            assert_eq!(drain(&b), sent);
        }
        assert_eq!((identity(&a), identity(&b)), before);
        // The limits are still there.
        if !nonblocking {
            let start = Instant::now();
            assert_eq!(b.get(&mut [0; 8]), Err(Errno::AGAIN));
            assert!(start.elapsed() < SLACK);
            fill(&a);
            assert_eq!(a.put(b"x"), Err(Errno::AGAIN));
        }
    }
}

type Control = AncillaryBuf<{ Space::new().rights::<2>().bytes() }>;

fn descriptors_come_until_a_deadline<T: Timed>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let mut control = Control::new();
    let mut buf = [0; 8];
    expires(|deadline| {
        let options = RecvOptions::new().deadline(deadline);
        b.recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, options).map(drop)
    });
    // Both of the turn before and of the one that waits.
    for waits in [false, true] {
        let count = thread::scope(|scope| {
            let mut receive = || {
                let options = RecvOptions::new().deadline(far());
                let data = &mut [IoSliceMut::new(&mut buf)];
                let (received, mut ancillary) = b.recv_with(data, &mut control, options).unwrap();
                assert_eq!((received.bytes, ancillary.truncation()), (4, None));
                ancillary.take_fds().map(|fd| identity(&fd).1).collect::<Vec<_>>()
            };
            if !waits {
                a.send_fds(b"word", &[a.as_fd(), b.as_fd()]).unwrap();
                return receive();
            }
            let waiting = start_waiting(scope, receive);
            a.send_fds(b"word", &[a.as_fd(), b.as_fd()]).unwrap();
            waiting.join().unwrap()
        });
        assert_eq!(count, [identity(&a).1, identity(&b).1]);
    }
}

fn descriptors_wait_for_room_and_go_once<T: Timed>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let send = |deadline| {
        let mut control = Control::new();
        let mut writer = control.writer();
        writer.push_fds(&[b.as_fd()]).unwrap();
        a.send_with(&[IoSlice::new(b"word")], &writer, SendOptions::new().deadline(deadline))
    };
    fill(&a);
    expires(send);
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || send(far()).unwrap().bytes);
        let (mut buf, mut fds) = (vec![0; 4096], 0);
        while fds == 0 {
            let mut control = Control::new();
            let options = RecvOptions::new().deadline(far());
            let data = &mut [IoSliceMut::new(&mut buf)];
            fds = b.recv_with(data, &mut control, options).unwrap().1.fds().count();
        }
        assert_eq!(waiting.join().unwrap(), 4);
        assert_eq!(fds, 1);
    });
    expires(|deadline| T::GETS[0](&b, &mut [0; 8], deadline));
}

fn later_of_deadline_and_nonblocking_counts<T: Timed>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let start = Instant::now();
    let options = RecvOptions::new().deadline(far()).nonblocking();
    let mut buf = [0; 8];
    let data = &mut [IoSliceMut::new(&mut buf)];
    let answer = b.recv_with(data, &mut Control::new(), options).map(drop);
    assert_eq!(answer.map_err(Errno::from), Err(Errno::AGAIN));
    fill(&a);
    let options = SendOptions::new().deadline(far()).nonblocking();
    let answer = a.send_with(&[IoSlice::new(b"x")], &Control::new().writer(), options);
    assert_eq!(answer.map_err(Errno::from), Err(Errno::AGAIN));
    assert!(start.elapsed() < SLACK);
}

/// Four wait for each message, and one of them gets it; the others wait on, for as long as they may.
fn somebody_else_may_take_it<T: Timed>(_: &str) {
    const MESSAGES: usize = 200;
    let (a, b) = T::pair().unwrap();
    let taken = AtomicUsize::new(0);
    let receive = || {
        let mut turn = 0;
        while taken.load(Ordering::Relaxed) < MESSAGES {
            turn += 1;
            match T::GETS[turn % T::GETS.len()](&b, &mut [0], soon()) {
                Ok(1) => {
                    taken.fetch_add(1, Ordering::Relaxed);
                }
                Err(Errno::TIMEDOUT) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(receive);
        }
        for _ in 0..MESSAGES {
            assert_eq!(a.put(b"x"), Ok(1));
            thread::sleep(Duration::from_micros(100));
        }
    });
    assert_eq!((taken.into_inner(), drain(&b)), (MESSAGES, 0));
}

#[test]
fn empty_buffer_of_a_stream_is_no_reason_to_wait() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    assert_eq!(b.read_deadline(&mut [], far()), b.read(&mut []));
    assert_eq!(a.write(b"word"), Ok(4));
    assert_eq!(b.read_deadline(&mut [], far()), Ok(0));
    assert_eq!(b.read(&mut [0; 8]), Ok(4));
    assert_eq!(UnixStream::unbound().unwrap().read_deadline(&mut [], far()), Ok(0));
    fill(&a);
    assert_eq!(a.write_deadline(&[], far()), a.write(&[]));
}

/// What `SO_RCVLOWAT` asks for is more than comes.
#[test]
fn few_bytes_are_read_at_once() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    let least: libc::c_int = 8;
    let len = size_of_val(&least) as libc::socklen_t;
    // SAFETY: the kernel reads one `int`.
    let set = unsafe {
        let (fd, least) = (b.as_raw_fd(), (&raw const least).cast());
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, least, len)
    };
    assert_eq!(set, 0);
    for get in UnixStream::GETS {
        expires(|deadline| get(&b, &mut [0; 16], deadline));
        thread::scope(|scope| {
            let waiting = start_waiting(scope, || get(&b, &mut [0; 16], far()));
            assert_eq!(a.write(b"word"), Ok(4));
            assert_eq!(waiting.join().unwrap(), Ok(4));
        });
    }
}

/// As `write` does not: it would wait until the last byte is written.
#[test]
fn write_takes_what_there_is_room_for() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    let bytes = vec![1; 4 << 20];
    let written = a.write_deadline(&bytes, far()).unwrap();
    assert!(0 < written && written < bytes.len(), "{written}");
    // One deadline for all of it.
    let deadline = far();
    thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut rest = &bytes[written..];
            while !rest.is_empty() {
                rest = &rest[a.write_deadline(rest, deadline).unwrap()..];
            }
        });
        let (mut read, mut buf) = (0, vec![0; 1 << 16]);
        while read < bytes.len() {
            read += b.read_deadline(&mut buf, deadline).unwrap();
        }
        writing.join().unwrap();
    });
}

#[test]
fn message_is_cut_and_measured_as_without_a_deadline() {
    let (a, b) = UnixSeqpacket::pair().unwrap();
    a.send(b"a long story").unwrap();
    let received = b.recv_deadline(&mut [0; 6], past()).unwrap();
    assert_eq!((received.bytes, received.size), (6, 12));
}

#[test]
fn moments_are_those_of_the_clock() {
    let start = Instant::now();
    let deadline = Deadline::after(SHORT).unwrap();
    assert!(deadline > past() && deadline < far());
    let left = deadline.remaining().unwrap();
    assert!(left <= SHORT);
    thread::sleep(left);
    // std's clock is the same one.
    assert!(start.elapsed() >= SHORT);
    assert_eq!(deadline.remaining(), Ok(Duration::ZERO));
    let ever = Deadline::after(Duration::MAX).unwrap();
    assert!(ever.remaining().unwrap() > Duration::from_secs(1 << 62));
    // And can be waited for, if not to its end.
    let (a, b) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || b.read_deadline(&mut [0; 8], ever));
        assert_eq!(a.write(b"x"), Ok(1));
        assert_eq!(waiting.join().unwrap(), Ok(1));
    });
}
