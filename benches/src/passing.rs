//! Control messages there and back, done with the crate.

use std::hint::black_box;

use afunix::{
    AncillaryBuf, AsFd, BorrowedFd, Fds, IoSlice, IoSliceMut, RecvOptions, SendOptions, Space,
    UnixStream,
};

const MESSAGE: &[u8; 1] = b"x";

/// One descriptor.
pub fn one_fd(count: u64) {
    let (a, b) = UnixStream::pair().expect("a pair");
    let mut buf = [0; 1];
    for _ in 0..count {
        // As with ping-pong: the reference to the array is hidden, and C has the length too.
        let message: &[u8; 1] = black_box(MESSAGE);
        a.send_fds(message, &[b.as_fd()]).expect("a descriptor sent");
        let room: &mut [u8; 1] = black_box(&mut buf);
        let (_, fds) = b.recv_fds::<1>(room).expect("a descriptor received");
        drop(fds);
    }
}

/// One descriptor, received with room for `N`: in place, for the container itself is so large.
pub fn one_fd_in_place<const N: usize>(count: u64) {
    let (a, b) = UnixStream::pair().expect("a pair");
    let (mut buf, mut fds) = ([0; 1], Fds::<N>::new());
    for _ in 0..count {
        let message: &[u8; 1] = black_box(MESSAGE);
        a.send_fds(message, &[b.as_fd()]).expect("a descriptor sent");
        let room: &mut [u8; 1] = black_box(&mut buf);
        // Closes the one of the last turn.
        let _ = b.recv_fds_into(room, &mut fds).expect("a descriptor received");
    }
}

/// One descriptor with a control buffer for `BYTES`.
pub fn one_fd_with<const BYTES: usize>(count: u64) {
    let (a, b) = UnixStream::pair().expect("a pair");
    let (mut buf, mut control) = ([0; 1], AncillaryBuf::<BYTES>::new());
    for _ in 0..count {
        let message: &[u8; 1] = black_box(MESSAGE);
        a.send_fds(message, &[b.as_fd()]).expect("a descriptor sent");
        let room: &mut [u8; 1] = black_box(&mut buf);
        let (_, mut ancillary) = b
            .recv_with(&mut [IoSliceMut::new(room)], &mut control, RecvOptions::new())
            .expect("a descriptor received");
        drop(ancillary.take_fds().next().expect("a descriptor"));
    }
}

pub fn sixteen_one_by_one(count: u64) {
    sixteen(count, |b, buf| {
        let (_, fds) = b.recv_fds::<16>(buf).expect("descriptors received");
        for fd in fds {
            drop(fd);
        }
    });
}

pub fn sixteen_as_a_whole(count: u64) {
    sixteen(count, |b, buf| {
        let (_, fds) = b.recv_fds::<16>(buf).expect("descriptors received");
        drop(fds);
    });
}

#[inline(always)]
fn sixteen(count: u64, receive: impl Fn(&UnixStream, &mut [u8; 1])) {
    let (a, b) = UnixStream::pair().expect("a pair");
    let fds: [BorrowedFd<'_>; 16] = [b.as_fd(); 16];
    let mut buf = [0; 1];
    for _ in 0..count {
        let (message, fds): (&[u8; 1], &[BorrowedFd<'_>; 16]) = black_box((MESSAGE, &fds));
        a.send_fds(message, fds).expect("descriptors sent");
        receive(&b, black_box(&mut buf));
    }
}

/// Plain data, whose sender the receiver asks for.
pub fn credentials(count: u64) {
    const SPACE: usize = Space::new().credentials().bytes();
    let (a, b) = UnixStream::pair().expect("a pair");
    b.set_passcred(true).expect("SO_PASSCRED");
    let (mut buf, mut control) = ([0; 1], AncillaryBuf::<SPACE>::new());
    for _ in 0..count {
        let message: &[u8; 1] = black_box(MESSAGE);
        a.write(message).expect("a byte sent");
        let room: &mut [u8; 1] = black_box(&mut buf);
        let (_, ancillary) = b
            .recv_with(&mut [IoSliceMut::new(room)], &mut control, RecvOptions::new())
            .expect("a byte received");
        black_box(ancillary.credentials().expect("credentials"));
    }
}

/// A descriptor, with the sender's credentials and pidfd.
pub fn all_three(count: u64) {
    const SPACE: usize = Space::new().credentials().rights::<1>().pidfd().bytes();
    let (a, b) = UnixStream::pair().expect("a pair");
    b.set_passcred(true).expect("SO_PASSCRED");
    b.set_passpidfd(true).expect("SO_PASSPIDFD");
    let mut out = AncillaryBuf::<{ Space::new().rights::<1>().bytes() }>::new();
    let (mut buf, mut control) = ([0; 1], AncillaryBuf::<SPACE>::new());
    for _ in 0..count {
        let mut writer = out.writer();
        writer.push_fds(&[b.as_fd()]).expect("room for one");
        let message: &[u8; 1] = black_box(MESSAGE);
        a.send_with(&[IoSlice::new(message)], &writer, SendOptions::new())
            .expect("a descriptor sent");
        let room: &mut [u8; 1] = black_box(&mut buf);
        let (_, mut ancillary) = b
            .recv_with(&mut [IoSliceMut::new(room)], &mut control, RecvOptions::new())
            .expect("a descriptor received");
        black_box(ancillary.credentials().expect("credentials"));
        black_box(ancillary.take_fds().next().expect("a descriptor"));
        black_box(ancillary.take_pidfd().expect("no error").expect("a pidfd"));
    }
}
