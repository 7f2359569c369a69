//! What `poll` does not know, and that none of it makes a call with a deadline spin.

use std::time::{Duration, Instant};

use afunix::{
    AncillaryBuf, AsRawFd, Deadline, Errno, IoSliceMut, RecvOptions, Shutdown, UnixDatagram,
    UnixListener, UnixSeqpacket, UnixStream,
};

use crate::common::emulated::is_set;
use crate::common::kinds::Data;
use crate::common::{Watchdog, close};
use crate::ways::{Timed, drain, fill, past};

for_connecting!(peer_that_will_not_read_is_nothing_to_poll);
for_data!(peek_behind_all_that_is_queued_looks_ready);

/// What `poll` says of a socket: of these events, and of those that it tells of unasked.
pub fn poll(socket: &impl AsRawFd, events: libc::c_short, milliseconds: i32) -> libc::c_short {
    let mut asked = libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 };
    // SAFETY: it is one `pollfd`.
    let ready = unsafe { libc::poll(&mut asked, 1, milliseconds) };
    assert!(ready >= 0);
    asked.revents
}

/// See "Poll knows of no queue but the peer's" in `kernel.md`.
#[test]
fn queue_that_is_full_is_known_to_those_who_are_connected_there() {
    let _watchdog = Watchdog::new();
    let (inbox, there) = UnixDatagram::autobind().unwrap();
    let (stranger, friend) = (UnixDatagram::unbound().unwrap(), UnixDatagram::unbound().unwrap());
    friend.connect(&there).unwrap();
    fill(&friend);
    assert_eq!(poll(&stranger, libc::POLLOUT, 0), libc::POLLOUT);
    assert_eq!(stranger.send_to_deadline(b"x", &there, past()), Err(Errno::TIMEDOUT));
    assert_eq!(poll(&friend, libc::POLLOUT, 0), 0);
    std::thread::scope(|scope| {
        let waiting = crate::common::start_waiting(scope, || poll(&friend, libc::POLLOUT, 20_000));
        drain(&inbox);
        assert_eq!(waiting.join().unwrap(), libc::POLLOUT);
        fill(&friend);
        let waiting = crate::common::start_waiting(scope, || poll(&friend, libc::POLLOUT, 20_000));
        close(inbox);
        assert_eq!(waiting.join().unwrap(), libc::POLLOUT);
    });
}

/// See "Poll asks for more room than a send" in `kernel.md`.
#[test]
fn send_finds_room_where_poll_finds_none() {
    let (a, b) = UnixStream::pair().unwrap();
    while poll(&a, libc::POLLOUT, 0) == libc::POLLOUT {
        assert_eq!(a.write_deadline(&[0; 1024], past()), Ok(1024));
    }
    let before = b.bytes_readable().unwrap();
    assert_eq!(a.write_deadline(&[0; 1024], past()), Ok(1024));
    fill(&a);
    assert!(b.bytes_readable().unwrap() > 2 * before);
}

/// See "Poll does not tell a sender that nobody will read" in `kernel.md`.
fn peer_that_will_not_read_is_nothing_to_poll<T: Timed>(_: &str) {
    let (a, b) = T::pair().unwrap();
    fill(&a);
    b.shutdown(Shutdown::Read).unwrap();
    assert_eq!(poll(&a, libc::POLLOUT, 50), 0);
    assert_eq!(T::PUTS[0](&a, b"x", past()), Err(Errno::PIPE));
}

/// See "What is shut for reading looks as if there were something" in `kernel.md`.
#[test]
fn shut_socket_looks_ready_and_is_not() {
    let events = libc::POLLIN | libc::POLLRDHUP;
    let (a, b) = UnixDatagram::pair().unwrap();
    b.shutdown(Shutdown::Read).unwrap();
    for _ in 0..3 {
        assert_eq!(poll(&b, events, 0), events);
        assert_eq!(recv(&b, libc::MSG_DONTWAIT), Err(Errno::AGAIN));
        assert_eq!(recv(&b, 0), Ok(0));
    }
    let (listener, _) = UnixListener::autobind().unwrap();
    listener.set_nonblocking(true).unwrap();
    listener.shutdown(Shutdown::Read).unwrap();
    for _ in 0..3 {
        assert_eq!(poll(&listener, events, 0) & events, events);
        assert_eq!(listener.accept().map(drop), Err(Errno::AGAIN));
    }
    close(a);
}

fn recv(socket: &impl AsRawFd, flags: libc::c_int) -> Result<usize, Errno> {
    let mut buf = [0_u8; 8];
    // SAFETY: the kernel writes at most 8 bytes.
    let count = unsafe { libc::recv(socket.as_raw_fd(), buf.as_mut_ptr().cast(), 8, flags) };
    let error = std::io::Error::last_os_error().raw_os_error().unwrap();
    usize::try_from(count).map_err(|_| Errno::from_raw_os_error(error))
}

/// A stream whose only byte is urgent.
pub fn urgent() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    // SAFETY: the kernel reads one byte.
    let sent = unsafe { libc::send(a.as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB) };
    assert_eq!(sent, 1);
    (a, b)
}

/// See "An urgent byte alone looks as if there were something" in `kernel.md`.
#[test]
fn urgent_byte_is_nothing_to_read() {
    let _watchdog = Watchdog::new();
    let (a, b) = urgent();
    assert_eq!(poll(&b, libc::POLLIN, 0), libc::POLLIN);
    assert_eq!(recv(&b, libc::MSG_DONTWAIT | libc::MSG_PEEK), Err(Errno::AGAIN));
    for get in UnixStream::GETS {
        let (_a, b) = urgent();
        rests(|deadline| get(&b, &mut [0; 8], deadline));
    }
    // What comes behind it does come.
    assert_eq!(a.write(b"word"), Ok(4));
    assert_eq!(b.read_deadline(&mut [0; 8], past()), Ok(4));
}

/// With an offset for peeks that is behind all that is queued, if there can be one.
pub fn peeked_out<T: Data>() -> Option<(T, T)> {
    let (a, b) = T::pair().unwrap();
    let offset: libc::c_int = 4;
    let len = size_of_val(&offset) as libc::socklen_t;
    // SAFETY: the kernel reads one `int`.
    let set = unsafe {
        let (fd, offset) = (b.as_raw_fd(), (&raw const offset).cast());
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_PEEK_OFF, offset, len)
    };
    let error = std::io::Error::last_os_error().raw_os_error().unwrap();
    if !is_set(if set == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(error)) }) {
        return None;
    }
    assert_eq!(a.put(b"word"), Ok(4));
    Some((a, b))
}

pub fn peek(socket: &impl rustix::fd::AsFd, deadline: Deadline) -> Result<usize, Errno> {
    let options = RecvOptions::new().peek().deadline(deadline);
    let (mut buf, mut none) = ([0; 8], AncillaryBuf::<0>::new());
    let data = &mut [IoSliceMut::new(&mut buf)];
    Ok(afunix::recv_with(socket, data, &mut none, options)?.0.bytes)
}

/// See "Peeks may move on" in `kernel.md`.
fn peek_behind_all_that_is_queued_looks_ready<T: Timed>(_: &str) {
    let Some((a, b)) = peeked_out::<T>() else { return };
    assert_eq!(poll(&b, libc::POLLIN, 0), libc::POLLIN);
    rests(|deadline| peek(&b, deadline));
    // More is seen as it comes, in between two of the rarer attempts.
    std::thread::scope(|scope| {
        let peeking = scope.spawn(|| peek(&b, crate::ways::far()));
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(a.put(b"more"), Ok(4));
        assert_eq!(peeking.join().unwrap(), Ok(4));
    });
}

/// The time that this thread was running.
fn busy() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one `timespec`.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Makes a call that must wait in vain, and at rest. How many system calls that are is in `calls`.
#[track_caller]
pub fn rests<R: std::fmt::Debug>(call: impl FnOnce(Deadline) -> Result<R, Errno>) {
    const TIME: Duration = Duration::from_millis(300);
    let (before, start) = (busy(), Instant::now());
    let answer = call(Deadline::after(TIME).unwrap());
    let (elapsed, busy) = (start.elapsed(), busy() - before);
    assert_eq!(answer.unwrap_err(), Errno::TIMEDOUT);
    assert!(elapsed >= TIME, "{elapsed:?}");
    assert!(busy < TIME / 4, "busy for {busy:?} of {elapsed:?}");
}

/// The control: the loop that everybody writes, on the socket of [`rests`].
#[test]
fn loop_of_poll_and_send_never_rests() {
    let _watchdog = Watchdog::new();
    let (_inbox, there) = UnixDatagram::autobind().unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    while sender.send_to_deadline(b"x", &there, past()).is_ok() {}
    rests(|deadline| sender.send_to_deadline(b"x", &there, deadline));

    sender.set_nonblocking(true).unwrap();
    // It takes all the time that the machine gives it: 50 milliseconds of that are enough to see.
    let (before, mut turns) = (busy(), 0);
    while busy() - before < Duration::from_millis(50) {
        assert_eq!(poll(&sender, libc::POLLOUT, 300), libc::POLLOUT);
        assert_eq!(sender.send_to(b"x", &there), Err(Errno::AGAIN));
        turns += 1;
    }
    assert!(turns > 500, "{turns}");
}

#[test]
fn seqpacket_that_is_shut_is_at_its_end() {
    let (a, b) = UnixSeqpacket::pair().unwrap();
    b.shutdown(Shutdown::Read).unwrap();
    assert_eq!(recv(&b, libc::MSG_DONTWAIT), Ok(0));
    close(a);
}
