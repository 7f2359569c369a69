//! Leaks on purpose: what the checker is worth.

use std::mem::forget;

use afunix::{AncillaryBuf, AsRawFd, IntoRawFd, RecvOptions};

use crate::check::{Change, Parcel, change, null};
use crate::common::emulated::{CUT, left_out_by_qemu};
use crate::ways::Passing;

leak_tests!(
    planted_leak_is_caught_however_it_comes_about
    receive_without_a_control_buffer_is_no_leak
    planted_close_of_what_is_not_ours_is_caught
);

/// Runs `body` on a parcel of `count` that waits to be received. Gives what the checker says of it,
/// and puts things in order again.
fn caught<P: Passing>(count: usize, body: impl FnOnce(&P)) -> Change {
    let (a, b) = P::pair();
    let parcel = Parcel::sent(&a, b"word", count);
    let change = change(|| body(&b));
    assert_eq!(parcel.held(), change.leaked.len());
    assert_eq!(parcel.is_gone(), change.leaked.is_empty());
    for (fd, file) in &change.leaked {
        assert!(file.to_str().unwrap().starts_with("pipe:"), "{change:?}");
        close(*fd);
    }
    parcel.assert_gone();
    change
}

fn close(fd: i32) {
    // SAFETY: the callers know of nobody whose it is.
    assert_eq!(unsafe { libc::close(fd) }, 0);
}

/// What a program does that takes the descriptors for numbers, and then forgets about them.
fn receive_naively(socket: &impl Passing, room: usize) {
    let mut data = [0u8; 8];
    let mut control = [0u64; 16];
    let mut iov = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    // SAFETY: zeros are a value of the header; all that it points to is as long as it says.
    let count = unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        (header.msg_iov, header.msg_iovlen) = (&mut iov, 1);
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = room as _;
        libc::recvmsg(socket.as_raw_fd(), &mut header, libc::MSG_CMSG_CLOEXEC)
    };
    assert_eq!(count, 4);
}

fn planted_leak_is_caught_however_it_comes_about<P: Passing>() {
    let leaked = |count, body: fn(&P)| {
        let change = caught(count, body);
        assert_eq!(change.lost, []);
        change.leaked.len()
    };
    assert_eq!(leaked(3, |b| forget(b.recv_fds::<3>(&mut [0; 8]).unwrap())), 3);
    assert_eq!(leaked(1, |b| forget(b.recv_fds_exact::<1>(&mut [0; 8]).unwrap())), 1);
    let given_up = |b: &P| {
        let (_, fds) = b.recv_fds::<3>(&mut [0; 8]).unwrap();
        let _: i32 = fds.into_iter().nth(1).unwrap().into_raw_fd();
    };
    assert_eq!(leaked(3, given_up), 1);
    let forgotten = |b: &P| {
        let mut control = AncillaryBuf::<64>::new();
        forget(b.take(&mut [0; 8], &mut control, RecvOptions::new()).unwrap());
    };
    assert_eq!(leaked(2, forgotten), 2);
    assert_eq!(leaked(5, |b| receive_naively(b, 128)), 5);
    // See "Room is counted in descriptors, not in messages" in `kernel.md`: a program that has
    // room for one, and looks for one, has two, on 64-bit machines.
    if !left_out_by_qemu(CUT) {
        let (room, fit) = if cfg!(target_pointer_width = "64") { (24, 2) } else { (16, 1) };
        let change = caught(5, |b: &P| receive_naively(b, room));
        assert_eq!((change.lost.len(), change.leaked.len()), (0, fit));
    }
}

/// See "Descriptors sent along" in `kernel.md`: that a leak is seen above is not because descriptors
/// come in any case.
fn receive_without_a_control_buffer_is_no_leak<P: Passing>() {
    let no_control = |b: &P| receive_naively(b, 0);
    assert_eq!(caught(5, no_control), Change::default());
    assert_eq!(caught(5, |b: &P| assert_eq!(b.get(&mut [0; 8]), Ok(4))), Change::default());
}

fn planted_close_of_what_is_not_ours_is_caught<P: Passing>() {
    let (a, b) = P::pair();
    let parcel = Parcel::sent(&a, b"word", 1);
    let (_, [fd]) = b.recv_fds_exact::<1>(&mut [0; 8]).unwrap();
    let number = fd.into_raw_fd();
    close(number);
    // By now the number is the next one's, who does not hear of the second close.
    let next = null();
    assert_eq!(next.as_raw_fd(), number);
    let change = change(|| close(number));
    assert_eq!((change.leaked.len(), change.lost.len()), (0, 1), "{change:?}");
    forget(next);
    parcel.assert_gone();
}
