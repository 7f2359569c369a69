//! Peers that go away, and sockets that are none of ours.

use std::net::UdpSocket;

use afunix::{
    AncillaryBuf, BorrowedFd, Errno, IoSliceMut, RecvError, RecvOptions, SendError, Space,
    UnixAddr, UnixDatagram,
};

use crate::check::{Parcel, leaves_nothing};
use crate::common::emulated::skip_option;
use crate::common::{Watchdog, name, open_fds, skip};
use crate::ways::Passing;

leak_tests!(
    peer_that_is_killed_between_two_receives_leaves_what_it_sent
    peer_that_closes_with_descriptors_unread_closes_them
    send_to_who_is_gone_keeps_the_descriptors_here
    send_to_who_takes_no_descriptors_keeps_them_here
);

type Control = AncillaryBuf<{ Space::new().credentials().rights::<2>().pidfd().bytes() }>;

/// A process that has done what it is told, and can do no more but be killed.
struct Peer(libc::pid_t);

impl Peer {
    /// `body` may not allocate: another thread may hold the allocator when the process is made.
    fn new(body: impl FnOnce()) -> Self {
        let mut status = 0;
        // SAFETY: the new process makes system calls alone, and does not come back; the status is
        // ours to write.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                // Whatever becomes of the test.
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                body();
                libc::raise(libc::SIGSTOP);
                libc::_exit(1);
            }
            assert!(pid > 0, "{}", std::io::Error::last_os_error());
            assert_eq!(libc::waitpid(pid, &mut status, libc::WUNTRACED), pid);
            assert!(libc::WIFSTOPPED(status), "{status:#x}");
            Self(pid)
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // SAFETY: our own child, which nobody has waited for.
        unsafe {
            assert_eq!(libc::kill(self.0, libc::SIGKILL), 0);
            assert_eq!(libc::waitpid(self.0, std::ptr::null_mut(), 0), self.0);
        }
    }
}

/// See "A pidfd of who is gone" in `kernel.md`.
fn peer_that_is_killed_between_two_receives_leaves_what_it_sent<P: Passing>() {
    let Some((a, b)) = P::attesting_pair() else { return };
    let mut parcels = [Parcel::new(), Parcel::new(), Parcel::new()];
    let peer = {
        let fds = parcels.each_ref().map(|parcel| parcel.times(2));
        Peer::new(|| {
            let sent = fds.each_ref().map(|fds| a.send_fds(b"word", fds).is_ok());
            if sent != [true; 3] {
                // SAFETY: it does not come back, and is seen to be missing.
                unsafe { libc::_exit(2) };
            }
        })
    };
    drop(a);
    parcels.iter_mut().for_each(Parcel::release);
    let before = open_fds();
    let (_, first) = b.recv_fds::<2>(&mut [0; 8]).unwrap();
    assert_eq!((first.len(), parcels[0].held()), (2, 2));
    drop(peer);
    let mut control = Control::new();
    let (_, mut second) = b.take(&mut [0; 8], &mut control, RecvOptions::new()).unwrap();
    assert_eq!((second.fds().count(), open_fds().len()), (2, before.len() + 2 + 3));
    let pidfd = second.take_pidfd().unwrap().expect("one of the dead");
    let (_, third) = b.recv_fds_exact::<2>(&mut [0; 8]).unwrap();
    assert_eq!(parcels.each_ref().map(Parcel::held), [2; 3]);
    b.set_nonblocking(true);
    match b.recv_fds_exact::<2>(&mut [0; 8]).map(drop).unwrap_err() {
        RecvError::WrongCount { bytes: 0, found: 0, .. } => assert!(P::CONNECTS),
        error => assert_eq!((error, P::CONNECTS), (RecvError::Kernel(Errno::AGAIN), false)),
    }
    drop((first, second, third, pidfd));
    assert_eq!(open_fds(), before);
    parcels.iter().for_each(Parcel::assert_gone);
}

/// See "The end with data unread" and "Descriptors in a queue that is dropped are closed" in `kernel.md`.
fn peer_that_closes_with_descriptors_unread_closes_them<P: Passing>() {
    let (a, b) = P::pair();
    let unread = [Parcel::sent(&b, b"word", 3), Parcel::sent(&b, b"word", 200)];
    let coming = Parcel::sent(&a, b"back", 2);
    drop(a);
    unread.iter().for_each(Parcel::assert_gone);
    assert!(!coming.is_gone());
    // A stream gives its data first, then the error; the others the error first, if they have one.
    let mut resets = 0;
    let mut arrived = 0;
    b.set_nonblocking(true);
    for _ in 0..4 {
        match b.recv_fds::<2>(&mut [0; 8]) {
            Ok((_, fds)) => arrived += fds.len(),
            Err(RecvError::Kernel(Errno::CONNRESET)) => resets += 1,
            Err(error) => assert_eq!(error, RecvError::Kernel(Errno::AGAIN)),
        }
    }
    assert_eq!((arrived, resets), (2, usize::from(P::CONNECTS)));
    coming.assert_gone();
}

fn send_to_who_is_gone_keeps_the_descriptors_here<P: Passing>() {
    let (a, b) = P::pair();
    drop(b);
    let mut parcel = Parcel::new();
    for _ in 0..2 {
        let error = a.send_fds(b"word", &parcel.times(2)).unwrap_err();
        assert!(matches!(error, SendError::Kernel(_)), "{error:?}");
        assert_eq!(parcel.held(), 1);
    }
    parcel.release();
    parcel.assert_gone();
}

fn send_to_who_takes_no_descriptors_keeps_them_here<P: Passing>() {
    // On all machines but sparc and parisc.
    const SO_PASSRIGHTS: i32 = 83;
    const OFF: i32 = 0;
    let (a, b) = P::pair();
    let early = Parcel::sent(&a, b"word", 1);
    // SAFETY: the option is one number.
    let answer = unsafe {
        let (off, len) = ((&OFF as *const i32).cast(), size_of_val(&OFF) as libc::socklen_t);
        libc::setsockopt(b.as_raw_fd(), libc::SOL_SOCKET, SO_PASSRIGHTS, off, len)
    };
    if answer != 0 {
        return skip_option("no socket refuses descriptors before Linux 6.16");
    }
    let mut parcel = Parcel::new();
    let refused = a.send_fds(b"word", &parcel.times(2));
    assert_eq!(refused, Err(SendError::Kernel(Errno::PERM)));
    assert_eq!(parcel.held(), 1);
    parcel.release();
    parcel.assert_gone();
    // What was on the way already arrives, and then there is nothing.
    assert_eq!(b.recv_fds_exact::<1>(&mut [0; 8]).unwrap().1.len(), 1);
    early.assert_gone();
    b.set_nonblocking(true);
    assert_eq!(b.get(&mut [0; 8]), Err(Errno::AGAIN));
}

/// Runs `body` as the tests above are run.
fn alone(test: &str, body: impl FnOnce()) {
    let _watchdog = Watchdog::new();
    leaves_nothing(&format!("ends::{test}"), body);
}

#[test]
fn datagram_socket_that_turns_to_another_peer_closes_what_was_queued() {
    alone("datagram_socket_that_turns_to_another_peer_closes_what_was_queued", || {
        let (a, b) = UnixDatagram::pair().unwrap();
        let (_other, other) = UnixDatagram::autobind().unwrap();
        let parcels = [Parcel::sent(&a, b"word", 2), Parcel::sent(&a, b"", 200)];
        b.connect(&other).unwrap();
        parcels.iter().for_each(Parcel::assert_gone);
        b.set_nonblocking(true).unwrap();
        let answer = b.recv_fds::<2>(&mut [0; 8]);
        assert_eq!(answer.map(drop), Err(RecvError::Kernel(Errno::AGAIN)));
    });
}

/// Receives through the free function, with the sender's address.
fn receive_from(fd: BorrowedFd<'_>, from: &mut UnixAddr) -> Result<usize, RecvError> {
    let (mut buf, mut control) = ([0; 8], Control::new());
    let mut pieces = [IoSliceMut::new(&mut buf)];
    let answer = afunix::recv_with(fd, &mut pieces, &mut control, RecvOptions::new().from(from));
    answer.map(|(received, _)| received.bytes)
}

#[test]
fn address_of_another_family_is_an_error_that_leaves_nothing() {
    alone("address_of_another_family_is_an_error_that_leaves_nothing", || {
        for ip in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(receiver) = UdpSocket::bind(ip) else {
                skip(format_args!("no {ip}"));
                continue;
            };
            let sender = UdpSocket::bind(ip).unwrap();
            sender.connect(receiver.local_addr().unwrap()).unwrap();
            // SAFETY: open as long as the receiver, which outlives it.
            let fd = unsafe { BorrowedFd::borrow_raw(std::os::fd::AsRawFd::as_raw_fd(&receiver)) };
            let mut from = name("before");
            let before = open_fds();
            for _ in 0..3 {
                sender.send(b"word").unwrap();
                let answer = receive_from(fd, &mut from);
                assert_eq!(answer, Err(RecvError::Kernel(Errno::AFNOSUPPORT)));
                assert!(from.is_unnamed());
                assert_eq!(open_fds(), before);
            }
            // Without the address it is a message like any other.
            sender.send(b"word").unwrap();
            let mut buf = [0; 8];
            let (received, fds) = afunix::recv_fds::<1>(fd, &mut buf).unwrap();
            assert_eq!((received.bytes, fds.len()), (4, 0));
        }
    });
}
