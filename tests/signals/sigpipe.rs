//! `SIGPIPE`, which kills a program that does not know of it. The runtime of Rust ignores it, so
//! each test runs in a child where it has its default action again.

use std::os::unix::process::ExitStatusExt;

use afunix::{AsRawFd, Errno, IoSlice, Shutdown, UnixDatagram, UnixSeqpacket, UnixStream};

use crate::common::kinds::Data;
use crate::common::{Watchdog, in_child, passes_in_child};

for_data!(send_after_shutdown_of_either_side_is_epipe_and_no_signal);

fn with_sigpipe(test: &str, body: impl FnOnce()) {
    passes_in_child(test, || {
        raise_sigpipe();
        body();
    });
}

fn raise_sigpipe() {
    // SAFETY: the default action is no function of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

fn without_peer<T: Data>() -> T {
    T::pair().unwrap().0
}

/// See "SIGPIPE is for streams" in `kernel.md`.
#[test]
fn stream_write_to_a_closed_peer_is_epipe_and_no_signal() {
    let _watchdog = Watchdog::new();
    with_sigpipe("sigpipe::stream_write_to_a_closed_peer_is_epipe_and_no_signal", || {
        let stream = without_peer::<UnixStream>();
        assert_eq!(stream.write(b"x"), Err(Errno::PIPE));
        assert_eq!(stream.write(b"x"), Err(Errno::PIPE));
        assert_eq!(stream.read(&mut [0]), Ok(0));
    });
}

#[test]
fn stream_write_vectored_to_a_closed_peer_is_epipe_and_no_signal() {
    let _watchdog = Watchdog::new();
    with_sigpipe("sigpipe::stream_write_vectored_to_a_closed_peer_is_epipe_and_no_signal", || {
        let stream = without_peer::<UnixStream>();
        let pieces = [IoSlice::new(b"x"), IoSlice::new(b"y")];
        assert_eq!(stream.write_vectored(&pieces), Err(Errno::PIPE));
        assert_eq!(stream.write_vectored(&pieces), Err(Errno::PIPE));
        assert_eq!(stream.read(&mut [0]), Ok(0));
    });
}

#[test]
fn seqpacket_send_to_a_closed_peer_is_epipe_and_no_signal() {
    let _watchdog = Watchdog::new();
    with_sigpipe("sigpipe::seqpacket_send_to_a_closed_peer_is_epipe_and_no_signal", || {
        let socket = without_peer::<UnixSeqpacket>();
        assert_eq!(socket.send(b"x"), Err(Errno::PIPE));
        assert_eq!(socket.send(b""), Err(Errno::PIPE));
        assert_eq!(socket.recv(&mut [0]).unwrap().size, 0);
    });
}

#[test]
fn datagram_send_to_a_closed_peer_is_econnrefused_and_no_signal() {
    let _watchdog = Watchdog::new();
    with_sigpipe("sigpipe::datagram_send_to_a_closed_peer_is_econnrefused_and_no_signal", || {
        let socket = without_peer::<UnixDatagram>();
        assert_eq!(socket.send(b"x"), Err(Errno::CONNREFUSED));
        assert_eq!(socket.send(b"x"), Err(Errno::NOTCONN));
    });
}

#[test]
fn datagram_send_to_a_closed_name_is_econnrefused_and_no_signal() {
    let _watchdog = Watchdog::new();
    with_sigpipe("sigpipe::datagram_send_to_a_closed_name_is_econnrefused_and_no_signal", || {
        let (_, gone) = UnixDatagram::autobind().unwrap();
        let (receiver, there) = UnixDatagram::autobind().unwrap();
        let socket = UnixDatagram::unbound().unwrap();
        assert_eq!(socket.send_to(b"x", &gone), Err(Errno::CONNREFUSED));
        assert_eq!(socket.send_to(b"x", &there), Ok(1));
        // The only sends of this form that the kernel answers with EPIPE.
        receiver.shutdown(Shutdown::Read).unwrap();
        assert_eq!(socket.send_to(b"x", &there), Err(Errno::PIPE));
        socket.shutdown(Shutdown::Write).unwrap();
        assert_eq!(socket.send_to(b"x", &there), Err(Errno::PIPE));
    });
}

fn send_after_shutdown_of_either_side_is_epipe_and_no_signal<T: Data>(test: &str) {
    with_sigpipe(test, || {
        let (a, b) = T::pair().unwrap();
        b.shutdown(Shutdown::Read).unwrap();
        assert_eq!(a.put(b"x"), Err(Errno::PIPE));
        assert_eq!(b.put(b"x"), Ok(1));
        b.shutdown(Shutdown::Write).unwrap();
        assert_eq!(b.put(b"x"), Err(Errno::PIPE));
        assert_eq!(a.get(&mut [0]), Ok(1));
    });
}

/// What the tests above would be without the flag: without these two they would prove nothing.
fn dies_of_sigpipe(test: &str, call: impl FnOnce(i32)) {
    let output = in_child(test, || {
        raise_sigpipe();
        let stream = without_peer::<UnixStream>();
        call(stream.as_raw_fd());
    });
    assert_eq!(output.status.signal(), Some(libc::SIGPIPE), "{output:?}");
}

#[test]
fn plain_write_to_a_closed_peer_dies_of_sigpipe() {
    let _watchdog = Watchdog::new();
    dies_of_sigpipe("sigpipe::plain_write_to_a_closed_peer_dies_of_sigpipe", |fd| {
        // SAFETY: one byte is there to be read.
        unsafe { libc::write(fd, [0_u8].as_ptr().cast(), 1) };
    });
}

#[test]
fn plain_writev_to_a_closed_peer_dies_of_sigpipe() {
    let _watchdog = Watchdog::new();
    dies_of_sigpipe("sigpipe::plain_writev_to_a_closed_peer_dies_of_sigpipe", |fd| {
        let mut byte = 0_u8;
        let piece = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        // SAFETY: one piece of one byte is there to be read.
        unsafe { libc::writev(fd, &piece, 1) };
    });
}
