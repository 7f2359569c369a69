//! Descriptors that arrive where no call has room for them.

use std::fs::File;
use std::io::Read;
use std::mem::{MaybeUninit, size_of};

use afunix::{AsRawFd, IoSliceMut, OwnedFd, UnixDatagram, UnixSeqpacket, UnixStream};

use crate::common::Watchdog;

/// Sends one byte with the writing end of a pipe, which is then open in the message alone. Gives
/// the reading end.
fn send_pipe(through: &impl AsRawFd) -> File {
    let (reader, writer) = std::io::pipe().unwrap();
    let (fd, number) = (through.as_raw_fd(), std::os::fd::AsRawFd::as_raw_fd(&writer));
    let mut data = libc::iovec { iov_base: (&raw const *b"x").cast_mut().cast(), iov_len: 1 };
    let mut control = MaybeUninit::<[libc::cmsghdr; 4]>::zeroed();
    let int = u32::try_from(size_of::<i32>()).unwrap();
    // SAFETY: zeros are a header of nothing; the control buffer has room for a header and one
    // number, and is aligned; all of it outlives the call.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut data;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(int) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(int) as _;
        libc::CMSG_DATA(header).cast::<i32>().write_unaligned(number);
        assert_eq!(libc::sendmsg(fd, &raw const message, 0), 1);
    }
    File::from(std::os::fd::OwnedFd::from(reader))
}

/// A pipe whose writing end is open nowhere is at its end; one that is open somewhere makes this
/// wait, until the watchdog bites.
#[track_caller]
fn assert_closed(mut reader: File) {
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
}

/// Whether the pipe is still open somewhere: nothing to read and no end.
fn is_open(reader: &File) -> bool {
    let fd = std::os::fd::AsRawFd::as_raw_fd(reader);
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure, as the call is told.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 0 }
}

/// See "Descriptors sent along" in `kernel.md`.
#[test]
fn descriptors_are_closed_by_each_call_that_has_no_room_for_them() {
    let _watchdog = Watchdog::new();
    let mut buf = [0; 8];

    let (a, b) = UnixStream::pair().unwrap();
    let pipe = send_pipe(&a);
    assert!(is_open(&pipe), "the message holds it");
    assert_eq!(b.read(&mut buf), Ok(1));
    assert_closed(pipe);
    let pipe = send_pipe(&a);
    assert_eq!(b.read_vectored(&mut [IoSliceMut::new(&mut buf)]), Ok(1));
    assert_closed(pipe);

    let (a, b) = UnixSeqpacket::pair().unwrap();
    let pipe = send_pipe(&a);
    assert_eq!(b.recv(&mut buf).unwrap().size, 1);
    assert_closed(pipe);

    let (a, b) = UnixDatagram::pair().unwrap();
    let pipe = send_pipe(&a);
    assert_eq!(b.recv(&mut buf).unwrap().size, 1);
    assert_closed(pipe);
    let pipe = send_pipe(&a);
    assert_eq!(b.recv_from(&mut buf).unwrap().0.size, 1);
    assert_closed(pipe);
}

/// What the check above would say if a call kept one.
#[test]
fn a_descriptor_that_is_kept_would_be_seen() {
    let (a, b) = UnixStream::pair().unwrap();
    let pipe = send_pipe(&a);
    let kept: OwnedFd = b.into();
    assert!(is_open(&pipe));
    drop(kept);
    assert_closed(pipe);
}
